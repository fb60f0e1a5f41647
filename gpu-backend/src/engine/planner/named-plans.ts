import type { Draft } from '../sequence.ts';
import { ar, dense, fitPlan } from '../plan.ts';
import type { Outcome, Plan, PlanLimits } from '../plan.ts';

/** What a named plan looks at. */
export interface NamedPlanState extends Omit<PlanLimits, 'numDraftRows'> {
  readonly drafts: readonly Draft[];
}

export const NAMED_PLANS = ['ar', 'dense', 'sparse', 'branches', 'two-pass'] as const;
export type NamedPlan = (typeof NAMED_PLANS)[number];

/** How far verification may come, in shares of the draft rows, where sparse plans have a block. */
const SPARSE_LEVELS = [0, 0.25, 0.5, 0.75, 1];
const NUM_REJECTIONS = 2;

/** The plan of that name for the next step, within what the sequence has room for. */
export function namedPlan(name: NamedPlan, draftLength: number, state: NamedPlanState): Plan {
  const { drafts, numRemainingTokens, numPositions } = state;
  const limits = { numDraftRows: 1 + drafts.length, numRemainingTokens, numPositions };
  return fitPlan(unfitted(name, draftLength, drafts), limits);
}

function unfitted(name: NamedPlan, draftLength: number, drafts: readonly Draft[]): Plan {
  switch (name) {
    case 'ar':
      return ar();
    case 'dense':
      return dense(draftLength);
    case 'sparse':
      return sparse(draftLength, drafts);
    case 'branches':
      return branches(draftLength, drafts);
    case 'two-pass':
      return twoPass(draftLength, drafts);
  }
}

/** Blocks for some outcomes only: none, a quarter, half, three quarters or all of the drafts accepted. */
function sparse(draftLength: number, drafts: readonly Draft[]): Plan {
  const numDraftRows = Math.min(draftLength, 1 + drafts.length);
  const levels = new Set(SPARSE_LEVELS.map((level) => 1 + Math.round(level * (numDraftRows - 1))));
  const outcomes = [...levels].map((accepted): Outcome => ({ accepted, numMaskTokens: draftLength }));
  return { numDraftRows, outcomes };
}

/** Three blocks: all accepted, and the least sure two drafts rejected, with their second best in their place. */
function branches(draftLength: number, drafts: readonly Draft[]): Plan {
  const numDraftRows = Math.min(draftLength, 1 + drafts.length);
  const verified = drafts.slice(0, numDraftRows - 1).map((draft, index) => ({ draft, accepted: index + 1 }));
  const leastSure = verified.sort((a, b) => a.draft.margin - b.draft.margin).slice(0, NUM_REJECTIONS);
  const rejections = leastSure.map(({ draft, accepted }): Outcome => {
    if (draft.secondBest < 0) return { accepted, numMaskTokens: draftLength };
    return { accepted, correction: draft.secondBest, numMaskTokens: draftLength };
  });
  return { numDraftRows, outcomes: [...rejections, { accepted: numDraftRows, numMaskTokens: draftLength }] };
}

/** In turns: a pass that drafts, with no draft to verify, and a pass that verifies, with no block. */
function twoPass(draftLength: number, drafts: readonly Draft[]): Plan {
  if (drafts.length > 0) return { numDraftRows: draftLength, outcomes: [] };
  return { numDraftRows: 1, outcomes: [{ accepted: 1, numMaskTokens: draftLength }] };
}
