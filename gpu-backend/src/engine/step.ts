import type { KvCache, ModelSession } from '../device/device.ts';
import { attentionMask, layOut } from './layout.ts';
import type { Layout } from './layout.ts';
import { assertTrustPlan, matchOutcome } from './plan.ts';
import type { Plan } from './plan.ts';
import type { Row } from './sample.ts';
import type { Draft, Sequence } from './sequence.ts';

/** What one forward pass did. */
export interface StepResult {
  /** The tokens that it decided, in order. */
  readonly tokenIds: number[];
  readonly numRows: number;
  /** Draft rows verified, the decided token's included. */
  readonly numDrafted: number;
}

type LogitsOf = (row: number) => Row;

const CAPACITY_STEP = 128;

/**
 * One forward pass: layout → forward → verify → commit. Works for any plan; what changes with the plan is only how
 * many tokens the pass decides, never which. The first step of a sequence prefills its prompt.
 */
export async function step(session: ModelSession, sequence: Sequence, plan: Plan): Promise<StepResult> {
  const { beta } = sequence.options;
  if (beta < 1) {
    sequence.trustDraftLength ||= plan.outcomes[0]?.numMaskTokens ?? 0;
    assertTrustPlan(plan, beta, sequence.trustDraftLength);
  }
  const maskTokenId = session.config.tidar?.maskTokenId ?? -1; // -1 is refused by the device if a row holds it
  const layout = layOut(plan, sequence, { maskTokenId, readFirstMasks: beta < 1 });
  const logitsOf = await forward(session, sequence.cache, layout);
  const tokenIds = verify(sequence, plan, layout, logitsOf);
  const drafts =
    sequence.finishReason === undefined ? preDraft(sequence, plan, layout, logitsOf, tokenIds) : [];
  sequence.commit(tokenIds, drafts);
  return { tokenIds, numRows: layout.numRows, numDrafted: plan.numDraftRows };
}

/** Runs the rows; the returned function reads one row's logits [vocab], until the next run. */
async function forward(session: ModelSession, cache: KvCache, layout: Layout): Promise<LogitsOf> {
  const numColumns = layout.writeIndex + layout.numRows;
  if (numColumns > cache.capacity) cache.grow(roundUp(numColumns, CAPACITY_STEP));
  const { tokenIds, positions, writeIndex, logitRows, logitIndex } = layout;
  const mask = attentionMask(layout, cache.capacity);
  const logits = await session.run(cache, { tokenIds, positions, writeIndex, mask, logitRows });
  const { vocabSize } = session.config;
  return (row) => {
    const index = logitIndex[row] ?? -1;
    if (index < 0) throw new RangeError(`row ${row} of ${layout.numRows} has no logits`);
    return logits.subarray(index * vocabSize, (index + 1) * vocabSize);
  };
}

/**
 * Row d_i decides the token after it. The first decided token that differs from draft d_{i+1} ends the run, and so
 * does an end token or the last token allowed. As many tokens are decided as draft rows are accepted.
 */
function verify(sequence: Sequence, plan: Plan, layout: Layout, logitsOf: LogitsOf): number[] {
  const { tokenIds, drafts, options, numCompletionTokens } = sequence;
  const decided: number[] = [];
  for (let accepted = 1; accepted <= plan.numDraftRows; accepted++) {
    let logits = logitsOf(layout.firstDraftRow + accepted - 1);
    const firstMask = layout.outcomeRows[accepted - 1];
    if (options.beta < 1 && firstMask !== undefined) logits = mix(logits, logitsOf(firstMask), options.beta);
    const { best } = sequence.draw(logits, tokenIds.length + accepted - 1);
    decided.push(best);
    sequence.finishReason = sequence.finishAfter(best, numCompletionTokens + accepted);
    if (sequence.finishReason !== undefined || drafts[accepted - 1]?.tokenId !== best) break;
  }
  return decided;
}

/** The drafts of the outcome that happened: what its block predicts after the token just decided. */
function preDraft(
  sequence: Sequence,
  plan: Plan,
  layout: Layout,
  logitsOf: LogitsOf,
  decided: number[],
): Draft[] {
  const index = matchOutcome(plan, decided.length, decided.at(-1) ?? -1);
  const outcome = plan.outcomes[index];
  const firstRow = layout.outcomeRows[index] ?? -1;
  if (outcome === undefined) return [];
  const decidedAt = sequence.tokenIds.length + decided.length - 1;
  const isCorrected = outcome.correction !== undefined;
  const numDrafts = isCorrected ? Math.max(1, outcome.numMaskTokens) : outcome.numMaskTokens - 1;
  // Row 0 of a block stands at the decided token: its first mask, of no use here, or the correction, whose causal
  // logits predict the same position as the first mask (row 1) and are the better draft of it.
  return Array.from({ length: numDrafts }, (_, draft) => {
    const row = firstRow + (isCorrected && draft === 0 ? 0 : draft + 1);
    const { best, secondBest } = sequence.draw(logitsOf(row), decidedAt + draft + 1);
    return { tokenId: best, secondBest };
  });
}

/** Raw logits of both modes, before any processor. */
function mix(causal: Row, diffusion: Row, beta: number): Float64Array {
  return Float64Array.from(causal, (logit, id) => beta * logit + (1 - beta) * (diffusion[id] ?? 0));
}

function roundUp(value: number, unit: number): number {
  return Math.ceil(value / unit) * unit;
}
