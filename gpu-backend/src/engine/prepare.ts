import type { ModelConfig } from '../model/config.ts';
import type { SlotRows } from './batch.ts';
import { layOut, layOutDenoising } from './layout.ts';
import type { Layout } from './layout.ts';
import { assertTrustPlan } from './plan.ts';
import type { Plan } from './plan.ts';
import type { Sequence } from './sequence.ts';

/** One sequence's part in a forward pass: its plan, laid out. */
export interface StepMember extends SlotRows {
  readonly sequence: Sequence;
  readonly plan: Plan;
  readonly layout: Layout;
  /** The prompt, or all of a text whose columns were lost, is not in the cache yet. */
  readonly isPrefill: boolean;
}

/**
 * Lays out what a sequence does in the next forward pass. Throws TidarError where its trust `beta` does not allow the
 * plan, RangeError for a plan that its state can't carry.
 */
export function prepare(config: ModelConfig, sequence: Sequence, plan: Plan): StepMember {
  const { beta } = sequence.options;
  if (beta < 1 && plan.numChunkTokens === undefined) {
    sequence.trustDraftLength ||= plan.outcomes[0]?.numMaskTokens ?? 0;
    assertTrustPlan(plan, beta, sequence.trustDraftLength);
  }
  const options = {
    maskTokenId: config.tidar?.maskTokenId ?? -1, // -1 is refused by the device if a row holds it
    readFirstMasks: beta < 1,
    readPendingRows: sequence.readsPrompt,
  };
  const { numCommitted, pendingTokenIds, isPrefilled, block } = sequence;
  const layout =
    plan.numBlockTokens === undefined
      ? layOut(plan, sequence, options)
      : layOutDenoising({ numCommitted, pendingTokenIds, blockTokenIds: block?.tokenIds ?? [] }, options);
  return { sequence, plan, layout, numCommitted, isPrefill: !isPrefilled };
}
