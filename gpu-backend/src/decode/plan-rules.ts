import { ar, dense, fitPlan } from '../engine/plan.ts';
import type { Plan } from '../engine/plan.ts';
import type { PlanRule } from '../engine/plan-rule.ts';
import type { Sequence } from '../engine/sequence.ts';
import type { Decoder } from './decoder.ts';

/** How a decoder's plans are chosen, for a model whose context has `maxPositions`. */
export function planRule(decoder: Decoder, maxPositions: number): PlanRule {
  if (decoder.type === 'ar') return { type: 'fixed', name: 'ar', next: () => AR };
  const { plan, draftLength, beta } = decoder;
  switch (plan) {
    case 'auto':
      return { type: 'auto', maxDraftLength: draftLength };
    case 'dense': {
      const whole = dense(draftLength);
      return { type: 'fixed', name: plan, next: (sequence) => fit(whole, sequence, maxPositions, beta) };
    }
    case 'sparse':
    case 'branches':
    case 'two-pass':
      throw new RangeError(plan);
  }
}

const AR = ar();

/** The plan without the rows that could not be of use near the end of the text. */
function fit(plan: Plan, sequence: Sequence, maxPositions: number, beta: number): Plan {
  const { drafts, tokenIds, numRemainingTokens } = sequence;
  return fitPlan(plan, {
    numDraftRows: 1 + drafts.length,
    // With beta below 1 the text itself depends on the blocks, so that none may be left out or cut short.
    numRemainingTokens: beta < 1 ? Infinity : numRemainingTokens,
    numPositions: beta < 1 ? Infinity : maxPositions - (tokenIds.length - 1),
  });
}
