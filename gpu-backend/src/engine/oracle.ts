import type { ModelSession } from '../device/device.ts';
import { ar } from './plan.ts';
import type { Plan } from './plan.ts';
import { wholeRow } from './sampling/row.ts';
import type { Draw, Row } from './sampling/settings.ts';
import { TokenDrawer } from './sampling/token-drawer.ts';
import type { Draft, FinishReason, SequenceOptions } from './sequence.ts';

/**
 * The slow and obvious engine, kept for the tests: no cache, no row is ever skipped, every step computes everything
 * from position 0, and who sees whom is asked pair by pair. The fast engine must agree with it in every token,
 * every accepted count and every draft. It shares with it the device and the sampler, nothing else.
 */
export interface OracleState {
  readonly options: SequenceOptions;
  readonly tokenIds: number[];
  drafts: Draft[];
  finishReason: FinishReason | undefined;
}

interface OracleRow {
  readonly tokenId: number;
  readonly position: number;
  readonly kind: 'draft' | 'correction' | 'mask';
  /** Draft rows: how many tokens stand before this one. Block rows: how many tokens the outcome knows. */
  readonly numTokensBefore: number;
  /** Index of the outcome in the plan; -1 for draft rows. */
  readonly outcome: number;
}

export function oracleState(options: SequenceOptions): OracleState {
  const { promptIds, committedIds = [] } = options;
  return { options, tokenIds: [...promptIds, ...committedIds], drafts: [], finishReason: undefined };
}

/** The text of plain decoding. */
export async function plainText(session: ModelSession, options: SequenceOptions): Promise<number[]> {
  const state = oracleState(options);
  while (state.finishReason === undefined) await oracleStep(session, state, ar());
  return state.tokenIds.slice(options.promptIds.length);
}

/** One decoding step under any plan; returns the tokens that it decided. */
export async function oracleStep(session: ModelSession, state: OracleState, plan: Plan): Promise<number[]> {
  const { tokenIds, options, drafts } = state;
  const rows = oracleRows(tokenIds, drafts, plan, session.config.tidar?.maskTokenId ?? -1);
  const logits = await runFromZero(session, rows, sees);
  const find = (outcome: number, position: number, kind: OracleRow['kind']): Row | undefined =>
    logits[rows.findIndex((r) => r.outcome === outcome && r.position === position && r.kind === kind)];

  // Verify: the token after draft row i is drawn from that row, mixed with its block's first mask.
  const firstPosition = tokenIds.length - 1;
  const decided: number[] = [];
  for (let i = 1; i <= plan.numDraftRows && state.finishReason === undefined; i++) {
    const position = firstPosition + i;
    const causal = find(-1, position - 1, 'draft');
    const block = plan.outcomes.findIndex((o) => o.accepted === i && o.correction === undefined);
    const diffusion = find(block, position, 'mask');
    const token = draw(session, options, mixed(causal, diffusion, options.beta), [
      ...tokenIds,
      ...decided,
    ]).best;
    decided.push(token);
    if (options.stopTokenIds.has(token)) state.finishReason = 'stop';
    else if (position + 1 - options.promptIds.length >= options.maxTokens) state.finishReason = 'length';
    if (drafts[i - 1]?.tokenId !== token) break;
  }

  // Draft: from the block of what happened, up to an end token.
  const decidedToken = decided.at(-1);
  const accepted = plan.outcomes
    .map((o, index) => ({ ...o, index }))
    .filter((o) => o.accepted === decided.length);
  const outcome =
    accepted.find((o) => o.correction === decidedToken) ?? accepted.find((o) => o.correction === undefined);
  tokenIds.push(...decided);
  const isFollowed = drafts[decided.length - 1]?.tokenId === decidedToken;
  const unverified = isFollowed ? drafts.slice(decided.length) : [];
  state.drafts = outcome === undefined && state.finishReason === undefined ? unverified : [];
  if (outcome === undefined || state.finishReason !== undefined) return decided;
  for (let position = tokenIds.length; ; position++) {
    const corrected =
      position === tokenIds.length ? find(outcome.index, position - 1, 'correction') : undefined;
    const row = corrected ?? find(outcome.index, position, 'mask');
    if (row === undefined) break;
    const text = [...tokenIds, ...state.drafts.map((draft) => draft.tokenId)];
    const { best, secondBest, margin } = draw(session, options, row, text);
    state.drafts.push({ tokenId: best, secondBest, margin });
    if (options.stopTokenIds.has(best)) break;
  }
  return decided;
}

function oracleRows(
  tokenIds: readonly number[],
  drafts: readonly Draft[],
  plan: Plan,
  mask: number,
): OracleRow[] {
  const known = [...tokenIds, ...drafts.slice(0, plan.numDraftRows - 1).map((draft) => draft.tokenId)];
  const rows: OracleRow[] = known.map((tokenId, position) => {
    return { tokenId, position, kind: 'draft', numTokensBefore: position, outcome: -1 };
  });
  plan.outcomes.forEach(({ accepted, correction, numMaskTokens }, outcome) => {
    const numTokensBefore = tokenIds.length - 1 + accepted;
    let position = numTokensBefore;
    if (correction !== undefined) {
      rows.push({ tokenId: correction, position: position++, kind: 'correction', numTokensBefore, outcome });
    }
    for (let i = 0; i < numMaskTokens; i++) {
      rows.push({ tokenId: mask, position: position++, kind: 'mask', numTokensBefore, outcome });
    }
  });
  // A run takes two rows: one more draft row that no other row sees.
  if (rows.length === 1)
    rows.push({ tokenId: 0, position: 1, kind: 'draft', numTokensBefore: 1, outcome: -2 });
  return rows;
}

function sees(row: OracleRow, other: OracleRow): boolean {
  if (row === other) return true;
  if (other.kind === 'draft') return other.outcome === -1 && other.position < row.numTokensBefore;
  return row.kind === 'mask' && row.outcome === other.outcome;
}

/** Every row's logits, from one run over an empty cache, at least two rows. */
export async function runFromZero<R extends { readonly tokenId: number; readonly position: number }>(
  session: ModelSession,
  rows: readonly R[],
  sees: (row: R, other: R) => boolean,
): Promise<Row[]> {
  const cache = session.createCache(1, rows.length);
  const all = Int32Array.from(rows.keys());
  const output = await session.run(cache, {
    numSlots: 1,
    numRows: rows.length,
    numPaddedRows: rows.length,
    tokenIds: Int32Array.from(rows, (row) => row.tokenId),
    positions: Int32Array.from(rows, (row) => row.position),
    rowStarts: Int32Array.of(0, rows.length),
    writeIndexes: Int32Array.of(0),
    mask: Uint8Array.from(rows.flatMap((row) => rows.map((other) => (sees(row, other) ? 1 : 0)))),
    numLogitRows: rows.length,
    logitRows: all,
    numCandidates: 0,
  });
  const logits = rows.map((_, row) => output.logits(row).slice());
  cache.dispose();
  return logits;
}

function mixed(causal: Row | undefined, diffusion: Row | undefined, beta: number): Row {
  if (causal === undefined) throw new RangeError('a verified row is missing');
  if (beta === 1) return causal;
  if (diffusion === undefined) throw new RangeError('beta below 1 needs a block for every verified row');
  return Float64Array.from(causal, (logit, id) => beta * logit + (1 - beta) * (diffusion[id] ?? 0));
}

/** The draw of the token after `text`, by a drawer that is made for it and has seen nothing else. */
function draw(session: ModelSession, options: SequenceOptions, row: Row, text: readonly number[]): Draw {
  const { promptIds, sampling, choice = 0, stopTokenIds: endTokenIds } = options;
  const committedIds = text.slice(promptIds.length);
  const { vocabSize } = session.config;
  const drawer = new TokenDrawer({ sampling, choice, vocabSize, promptIds, committedIds, endTokenIds });
  return drawer.draw(wholeRow(row), text.length);
}
