import type { ModelConfig } from '../model/config.ts';
import type { SlotRows } from './batch.ts';
import { layOut } from './layout.ts';
import type { Layout } from './layout.ts';
import { assertTrustPlan } from './plan.ts';
import type { Plan } from './plan.ts';
import type { Sequence } from './sequence.ts';

/** One sequence's part in a forward pass: its plan, laid out. */
export interface StepMember extends SlotRows {
  readonly sequence: Sequence;
  readonly plan: Plan;
  readonly layout: Layout;
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
  const layout = layOut(plan, sequence, {
    maskTokenId: config.tidar?.maskTokenId ?? -1, // -1 is refused by the device if a row holds it
    readFirstMasks: beta < 1,
    readPendingRows: sequence.readsPrompt,
  });
  return { sequence, plan, layout, numCommitted: sequence.numCommitted };
}
