import { namedPlan } from '../engine/planner/named-plans.ts';
import type { DiffusionOptions } from '../engine/diffusion/options.ts';
import { ar, denoising } from '../engine/plan.ts';
import type { Plan } from '../engine/plan.ts';
import type { PlanRule } from '../engine/plan-rule.ts';
import type { Sequence } from '../engine/sequence.ts';
import type { Decoder, SpeculativeOptions } from './decoder.ts';

/** How a decoder's plans are chosen, for a model whose context has `maxPositions`. */
export function planRule(decoder: Decoder, maxPositions: number): PlanRule {
  if (decoder.type === 'ar') return { type: 'fixed', name: 'ar', next: () => AR };
  if (decoder.type === 'speculative') return speculative(decoder);
  if (decoder.type === 'diffusion') return diffusion(decoder);
  const { plan, draftLength, beta } = decoder;
  if (plan === 'auto') return { type: 'auto', maxDraftLength: draftLength };
  const next = ({ drafts, tokenIds, numRemainingTokens }: Sequence): Plan =>
    namedPlan(plan, draftLength, {
      drafts,
      // With beta below 1 the text itself depends on the blocks, so that none may be left out or cut short.
      numRemainingTokens: beta < 1 ? Infinity : numRemainingTokens,
      numPositions: beta < 1 ? Infinity : maxPositions - (tokenIds.length - 1),
    });
  return { type: 'fixed', name: plan, next };
}

const AR = ar();

/** Verifies whatever the draft model drafted. */
function speculative({ draftLength }: SpeculativeOptions): PlanRule {
  const next = ({ drafts, numRemainingTokens }: Sequence): Plan => ({
    numDraftRows: Math.min(1 + drafts.length, numRemainingTokens),
    outcomes: [],
  });
  return { type: 'fixed', name: 'speculative', next, numForeignDrafts: draftLength };
}

function diffusion({ blockLength }: DiffusionOptions): PlanRule {
  const plan = denoising(blockLength);
  return { type: 'fixed', name: 'diffusion', next: () => plan };
}
