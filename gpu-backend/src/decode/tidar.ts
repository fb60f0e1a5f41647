import { dense, fitPlan } from '../engine/plan.ts';
import type { Policy } from './policy.ts';

export interface TidarOptions {
  readonly draftLength: number;
  readonly beta: number;
}

/** Beyond it, the dense layout's k · (1 + k) rows cost a CPU more than their drafts give (npm run bench). */
const CPU_DRAFT_LENGTH = 4;

/** The draft length of requests that name none, for a model trained with blocks of `blockSize`. */
export function defaultDraftLength(blockSize: number): number {
  return Math.min(blockSize, CPU_DRAFT_LENGTH);
}

/** The paper's dense layout, without the rows that could not be of use near the end of the text. */
export function tidarPolicy({ draftLength, beta }: TidarOptions, maxPositions: number): Policy {
  const plan = dense(draftLength);
  return ({ drafts, tokenIds, numRemainingTokens }) =>
    fitPlan(plan, {
      numDraftRows: 1 + drafts.length,
      // With beta below 1 the text itself depends on the blocks, so that none may be left out or cut short.
      numRemainingTokens: beta < 1 ? Infinity : numRemainingTokens,
      numPositions: beta < 1 ? Infinity : maxPositions - (tokenIds.length - 1),
    });
}
