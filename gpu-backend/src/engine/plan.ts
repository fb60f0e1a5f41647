import { TidarError } from '@tidar/shared/errors.ts';

/**
 * What one forward pass computes for a sequence. Draft row 1 holds the last decided token, draft rows 2 … D the
 * drafts to verify. Each outcome pre-drafts one way that verification may end.
 */
export interface Plan {
  /** D, the decided token included; 0 in a prefill chunk, which decides nothing. */
  readonly numDraftRows: number;
  readonly outcomes: readonly Outcome[];
  /** Of a prefill chunk: so many pending tokens, not all of them, are written to the cache. */
  readonly numChunkTokens?: number;
  /** Of block diffusion: what is pending is written to the cache, and the block of so many tokens is denoised. */
  readonly numBlockTokens?: number;
}

export interface Outcome {
  /** Draft rows accepted, 1 … D. The decided token is accepted by definition, so there is no outcome 0. */
  readonly accepted: number;
  /** The token expected in place of the rejected draft; absent: the block drafts without knowing it. */
  readonly correction?: number;
  readonly numMaskTokens: number;
}

/** Plain autoregression: one token a forward pass. */
export function ar(): Plan {
  return { numDraftRows: 1, outcomes: [] };
}

/** A part of a long prompt: the rest follows in later passes. */
export function prefillChunk(numChunkTokens: number): Plan {
  return { numDraftRows: 0, outcomes: [], numChunkTokens };
}

/** A pass of block diffusion. */
export function denoising(numBlockTokens: number): Plan {
  return { numDraftRows: 0, outcomes: [], numBlockTokens };
}

/** The paper's layout: `draftLength` draft rows and a block of `draftLength` masks for every outcome. */
export function dense(draftLength: number): Plan {
  const outcomes = Array.from({ length: draftLength }, (_, index) => ({
    accepted: index + 1,
    numMaskTokens: draftLength,
  }));
  return { numDraftRows: draftLength, outcomes };
}

/** What a sequence has room for. */
export interface PlanLimits {
  /** The decided token and the drafts there are. */
  readonly numDraftRows: number;
  /** Tokens that may still be decided. */
  readonly numRemainingTokens: number;
  /** Positions from draft row 1's to the end of the model's context. */
  readonly numPositions: number;
}

/** The plan without what can't happen (drafts that don't exist, outcomes after the last token) or has no position. */
export function fitPlan(plan: Plan, limits: PlanLimits): Plan {
  const { numRemainingTokens, numPositions } = limits;
  const numDraftRows = Math.min(plan.numDraftRows, limits.numDraftRows, numRemainingTokens);
  const outcomes: Outcome[] = [];
  for (const outcome of plan.outcomes) {
    const { accepted, correction } = outcome;
    if (accepted > numDraftRows || accepted >= numRemainingTokens) continue;
    const numPositionsUsed = accepted + (correction === undefined ? 0 : 1);
    const numMaskTokens = Math.min(outcome.numMaskTokens, numPositions - numPositionsUsed);
    if (numMaskTokens >= (correction === undefined ? 1 : 0)) outcomes.push({ ...outcome, numMaskTokens });
  }
  return { numDraftRows, outcomes };
}

/** The outcome that pre-drafted exactly what happened, else the one that drafted blind, else none. */
export function matchOutcome(plan: Plan, accepted: number, sampled: number): number {
  const corrected = plan.outcomes.findIndex((o) => o.accepted === accepted && o.correction === sampled);
  if (corrected >= 0) return corrected;
  return plan.outcomes.findIndex((o) => o.accepted === accepted && o.correction === undefined);
}

/** Throws RangeError for a plan that the state can't carry: a programmer's error, never a request's. */
export function assertPlan(plan: Plan, draftTokenIds: readonly number[], numPendingTokens = 1): void {
  const { numDraftRows, outcomes, numChunkTokens } = plan;
  if (numChunkTokens !== undefined) {
    const isPart = numChunkTokens >= 1 && numChunkTokens < numPendingTokens;
    if (isPart && numDraftRows === 0 && outcomes.length === 0) return;
    throw new RangeError(
      `a chunk of ${numChunkTokens} of ${numPendingTokens} pending tokens decides nothing`,
    );
  }
  if (numDraftRows < 1 || numDraftRows > 1 + draftTokenIds.length) {
    throw new RangeError(`plan has ${numDraftRows} draft rows, the sequence has ${1 + draftTokenIds.length}`);
  }
  const seen = new Set<string>();
  for (const { accepted, correction, numMaskTokens } of outcomes) {
    const name = `outcome (${accepted}, ${correction ?? 'none'})`;
    if (accepted < 1 || accepted > numDraftRows)
      throw new RangeError(`${name} of ${numDraftRows} draft rows`);
    if (numMaskTokens < (correction === undefined ? 1 : 0))
      throw new RangeError(`${name} has no mask tokens`);
    if (accepted < numDraftRows && correction === draftTokenIds[accepted - 1]) {
      throw new RangeError(`${name} corrects a draft to itself`);
    }
    if (seen.has(name)) throw new RangeError(`${name} twice in a plan`);
    seen.add(name);
  }
}

/**
 * Trust below 1 mixes each verified row with the first mask of its own block, and that mask's logits depend on the
 * block's length: so only the dense layout with one constant draft length has a law. Anything else is refused.
 */
export function assertTrustPlan(plan: Plan, beta: number, draftLength: number): void {
  const isDense =
    draftLength > 0 &&
    plan.outcomes.length === plan.numDraftRows &&
    plan.outcomes.every(
      (o, index) => o.accepted === index + 1 && o.correction === undefined && o.numMaskTokens === draftLength,
    );
  if (isDense) return;
  throw new TidarError(
    'invalid_request',
    `beta ${beta} needs the dense plan with one constant draft length; another plan has no text of its own at beta below 1.`,
    { param: 'beta' },
  );
}
