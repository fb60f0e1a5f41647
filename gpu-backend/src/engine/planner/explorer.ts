import type { Plan } from '../plan.ts';
import type { PlannerInput } from './planner.ts';

/** Of the time that plain steps take. */
const SHARE_OF_TIME = 0.005;
const NUM_MASKS = 4;
const LEAST_COST = 0.25; // of a step

interface Step {
  readonly numRows: number;
  readonly milliseconds: (numRows: number) => number;
}

/**
 * Where drafts didn't pay nobody drafts, and nobody would see that they pay again. So a small share of the time is
 * saved up, and buys a block for a sequence that has none; its drafts are compared with the text as it comes, without
 * rows of their own.
 */
export class Explorer {
  #savedMs = 0;
  #turn = 0;

  explore(plans: Plan[], inputs: readonly PlannerInput[], { numRows, milliseconds }: Step): Plan[] {
    const at = this.#turn++ % plans.length;
    const plan = plans[at];
    const input = inputs[at];
    if (plan === undefined || input === undefined || plan.outcomes.length > 0) return plans;
    const stepMs = milliseconds(numRows);
    // Rows are seldom as cheap as a flat stretch of the curve says.
    const costMs = Math.max(milliseconds(numRows + NUM_MASKS) - stepMs, LEAST_COST * stepMs);
    this.#savedMs = Math.min(this.#savedMs + SHARE_OF_TIME * stepMs, Math.max(costMs, stepMs));
    const masks = Math.min(
      NUM_MASKS,
      input.numRemainingTokens - 1,
      input.numPositions - 1,
      input.maxDraftRows ?? NUM_MASKS,
    );
    if (masks < 2 || input.statistics.isTracking || plan.numDraftRows > 1 || this.#savedMs < costMs)
      return plans;
    this.#savedMs -= costMs;
    const outcomes = [{ accepted: 1, numMaskTokens: masks }];
    return plans.map((one, index) => (index === at ? { numDraftRows: 1, outcomes } : one));
  }
}
