import type { KvCache, ModelSession } from '../device/device.ts';
import type { BatchPacker, SlotRows } from './batch.ts';
import { denoise } from './diffusion/denoise.ts';
import { matchOutcome } from './plan.ts';
import type { StepMember } from './prepare.ts';
import { RowReader } from './row-reader.ts';
import { tokenLogprobs } from './sampling/logprobs.ts';
import type { TokenLogprob } from './sampling/logprobs.ts';
import type { Draft } from './sequence.ts';
import type { StepResult } from './step-result.ts';
import { keepOdds, traceStep } from './trace.ts';

/**
 * One forward pass: layout → forward → verify → commit. `slots[b]` says what slot firstSlot + b does: a member of the
 * pass, or an idle slot that only must keep its columns. Works for any plans; they change how many tokens the pass
 * decides, never which. Where a sequence's own numbers are broken, its place holds the error and the others go on.
 */
export async function step(
  session: ModelSession,
  cache: KvCache,
  packer: BatchPacker,
  slots: readonly (StepMember | SlotRows)[],
  firstSlot = 0,
): Promise<(StepResult | Error | undefined)[]> {
  const members = slots.map((slot) => ('sequence' in slot ? slot : undefined));
  const numWanted = Math.max(0, ...members.map((m) => m?.sequence.numCandidatesWanted ?? 0));
  const numCandidates = Math.min(numWanted, session.maxCandidates);
  const output = await session.run(cache, packer.pack(slots, cache.capacity, numCandidates, firstSlot));
  let firstLogitRow = 0;
  return members.map((member) => {
    if (member === undefined) return undefined;
    const rows = new RowReader(output, member.layout, firstLogitRow);
    firstLogitRow += member.layout.logitRows.length;
    try {
      return settle(member, rows);
    } catch (error) {
      return error instanceof Error ? error : new Error(String(error));
    }
  });
}

function settle(member: StepMember, rows: RowReader): StepResult {
  const { sequence, plan, layout } = member;
  sequence.readPrompt(layout, rows);
  const { numRows } = layout;
  if (plan.numChunkTokens !== undefined) {
    sequence.commitPending(plan.numChunkTokens);
    return { tokenIds: [], logprobs: [], numRows, numDrafted: 0, numAccepted: 0, outcome: -1 };
  }
  if (plan.numBlockTokens !== undefined) return denoise(member, rows);
  const { tokenIds, logprobs } = verify(member, rows);
  const outcome = matchOutcome(plan, tokenIds.length, tokenIds.at(-1) ?? -1);
  const isOver = sequence.finishReason !== undefined;
  const drafts = isOver ? [] : preDraft(member, rows, tokenIds, outcome);
  const settled = { tokenIds, logprobs, outcome, nextDrafts: drafts };
  const trace = sequence.options.isTraced ? traceStep(member, rows, settled) : undefined;
  sequence.commit(tokenIds, drafts, plan, outcome);
  const { numDraftRows: numDrafted } = plan;
  return { tokenIds, logprobs, numRows, numDrafted, numAccepted: tokenIds.length, outcome, trace };
}

type Decided = Pick<StepResult, 'tokenIds' | 'logprobs'>;

/**
 * Row d_i decides the token after it. The first decided token that differs from draft d_{i+1} ends the run, and so
 * does an end token or the last token allowed, for now or at all. As many tokens are decided as draft rows are accepted.
 */
function verify({ sequence, plan, layout }: StepMember, rows: RowReader): Decided {
  const { drafts, options, numLogprobs, numCompletionTokens, drawer } = sequence;
  const tokenIds: number[] = [];
  const logprobs: TokenLogprob[] = [];
  for (let accepted = 1; accepted <= plan.numDraftRows; accepted++) {
    const causalRow = layout.firstDraftRow + accepted - 1;
    const firstMask = layout.outcomeRows[accepted - 1];
    const isMixed = options.beta < 1 && firstMask !== undefined;
    const row = isMixed ? rows.mixed(causalRow, firstMask, options.beta) : rows.row(causalRow);
    const { best } = drawer.draw(row, sequence.tokenIds.length + accepted - 1);
    if (numLogprobs !== undefined) logprobs.push(tokenLogprobs(rows.row(causalRow), best, numLogprobs));
    tokenIds.push(best);
    drawer.push(best);
    sequence.finishReason = sequence.finishAfter(best, numCompletionTokens + accepted);
    const isOver = sequence.finishReason !== undefined || numCompletionTokens + accepted >= sequence.grantEnd;
    if (isOver || drafts[accepted - 1]?.tokenId !== best) break;
  }
  return { tokenIds, logprobs };
}

/**
 * The drafts of the outcome that happened: what its block predicts after the token just decided. Without a block,
 * drafts that no row verified stay, if the decided token is what they follow.
 */
function preDraft(member: StepMember, rows: RowReader, decided: number[], index: number): Draft[] {
  const { sequence, plan, layout } = member;
  const numDecided = decided.length;
  const outcome = plan.outcomes[index];
  const firstRow = layout.outcomeRows[index] ?? -1;
  const isFollowed = sequence.drafts[numDecided - 1]?.tokenId === decided.at(-1);
  if (outcome === undefined) return isFollowed ? sequence.drafts.slice(numDecided) : [];
  const { drawer, options } = sequence;
  const position = sequence.tokenIds.length + numDecided;
  const isCorrected = outcome.correction !== undefined;
  const numDrafts = isCorrected ? Math.max(1, outcome.numMaskTokens) : outcome.numMaskTokens - 1;
  const drafts: Draft[] = [];
  // Row 0 of a block stands at the decided token: its first mask, of no use here, or the correction, whose causal
  // logits predict the same position as the first mask (row 1) and are the better draft of it.
  while (drafts.length < numDrafts && !options.stopTokenIds.has(drafts.at(-1)?.tokenId ?? -1)) {
    const index = firstRow + (isCorrected && drafts.length === 0 ? 0 : drafts.length + 1);
    const row = rows.row(index);
    const { best, secondBest, margin } = drawer.propose(row, position + drafts.length);
    const draft = { tokenId: best, secondBest, margin };
    drafts.push(options.isTraced ? { ...draft, odds: keepOdds(row, index) } : draft);
    drawer.push(best);
  }
  drawer.pop(drafts.length);
  return drafts;
}
