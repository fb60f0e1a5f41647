import type { Slot } from './kv-pool.ts';
import type { PlanRule } from './plan-rule.ts';
import type { Sequence } from './sequence.ts';

export interface OpenOptions {
  readonly rule: PlanRule;
  /** Who may share kept prefixes; absent: this sequence neither uses nor leaves any. */
  readonly salt?: string | undefined;
}

/** A sequence that the engine decodes. */
export interface Active {
  readonly sequence: Sequence;
  readonly rule: PlanRule;
  readonly salt: string | undefined;
  /** Prompt tokens whose columns a kept prefix had. */
  readonly numCachedTokens: number;
}

/** The engine's own side of it: where its columns are. Without a slot it waits for memory. */
export class Resident implements Active {
  readonly sequence: Sequence;
  readonly rule: PlanRule;
  readonly salt: string | undefined;
  numCachedTokens = 0;
  slot: Slot | undefined;

  constructor(sequence: Sequence, { rule, salt }: OpenOptions) {
    this.sequence = sequence;
    this.rule = rule;
    this.salt = salt;
  }
}
