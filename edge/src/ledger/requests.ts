import { TidarError } from '@tidar/shared/errors.ts';
import { checkedCounts } from './counts.ts';
import { ensurePruning } from './due.ts';
import { type Hold, holdWith } from './price.ts';
import { countsOf, deliveredOf, findRow, priceOfRow, type RequestRow, writeCounts } from './rows.ts';
import type { Grant, NewRequest, Progress, PromptCounts } from './types.ts';
import type { Sql } from '../sql.ts';

const PRUNE_AFTER_MS = 3_600_000;

/** Opens a request with its hold and its first slice. */
export function openRequest(sql: Sql, request: NewRequest, nowMs: number): void {
  const { price, hold, terms } = request;
  const values = {
    id: request.requestId,
    model: request.model,
    user: request.user ?? null,
    metadata: request.metadata === undefined ? null : JSON.stringify(request.metadata),
    admitted_at_ms: nowMs,
    hold_tokens: hold.tokens,
    hold_nanos: hold.nanos,
    ask_at_ms: nowMs + request.graceMs,
    fingerprint: request.fingerprint,
    seed: request.seed,
    prompt_price: price.prompt,
    cached_price: price.cached,
    completion_price: price.completion,
    backend: terms.backend,
    num_choices: terms.numChoices,
    max_tokens: terms.maxTokens,
    context_length: terms.contextLength,
    slice_tokens: terms.sliceTokens,
    end_token: Math.min(terms.maxTokens, terms.sliceTokens),
    include_usage: terms.includeUsage ? 1 : 0,
    answer_terms: terms.answerTerms ?? null,
  };
  const names = Object.keys(values);
  const places = names.map(() => '?').join(', ');
  sql.exec(`INSERT INTO requests (${names.join(', ')}) VALUES (${places})`, ...Object.values(values));
  ensurePruning(sql, nowMs + PRUNE_AFTER_MS);
}

export function grantOf(row: RequestRow): Grant {
  return { attempt: row.attempt, endToken: row.end_token };
}

/**
 * The open request that the progress is of, with what it proves written down: counts only rise. An error for an
 * attempt that is not the highest, for a connection that was taken over, for a request that has its bill.
 */
export function proveProgress(
  sql: Sql,
  requestId: string,
  progress: Progress,
  nowMs: number,
): RequestRow | TidarError {
  const row = findRow(sql, requestId);
  const refusal = progressRefusal(row, progress);
  if (row === undefined || refusal !== undefined) return refusal ?? closed();
  const delivered = deliveredOf(row).map((count, choice) => Math.max(count, progress.delivered[choice] ?? 0));
  const completionTokens = sum(delivered);
  const numForwardPasses = Math.max(row.num_forward_passes, progress.numForwardPasses);
  writeCounts(sql, requestId, checkedCounts({ ...countsOf(row), completionTokens, numForwardPasses }));
  sql.exec(
    `UPDATE requests SET delivered = ?, ask_at_ms = MAX(ask_at_ms, ?), reader_left = 0 WHERE id = ?`,
    JSON.stringify(delivered),
    nowMs + progress.graceMs,
    requestId,
  );
  return findRow(sql, requestId) ?? closed();
}

/** Why a word of progress does not count; undefined if it does. */
export function progressRefusal(
  row: RequestRow | undefined,
  { attempt, reader, delivered }: Pick<Progress, 'attempt' | 'reader' | 'delivered'>,
): TidarError | undefined {
  if (row === undefined || row.state !== 'open') return closed();
  if (reader !== row.reader) return takenOver();
  if (attempt !== row.attempt) {
    const message = `Attempt ${attempt} of this request is over: its highest is ${row.attempt}.`;
    return new TidarError('attempt_superseded', message);
  }
  if (delivered.length > row.num_choices) throw new RangeError(`${delivered.length} choices were delivered`);
  return undefined;
}

/** A backend has started the attempt: the prompt's true count corrects the hold. Returns by how many tokens it shrank. */
export function startRequest(sql: Sql, row: RequestRow, prompt: PromptCounts): number {
  const counts = checkedCounts({ ...countsOf(row), ...prompt });
  writeCounts(sql, row.id, counts);
  sql.exec('UPDATE requests SET started_attempt = attempt, started_backend = backend WHERE id = ?', row.id);
  const hold = holdUpTo({ ...row, prompt_tokens: prompt.promptTokens, cached_tokens: prompt.cachedTokens });
  return writeHold(sql, row, {
    tokens: Math.min(row.hold_tokens, hold.tokens),
    nanos: Math.min(row.hold_nanos, hold.nanos),
  });
}

/** What a request whose prompt is counted can cost at most, up to a token of each choice. */
export function holdUpTo(row: RequestRow, endToken = row.end_token): Hold {
  const limits = { numChoices: row.num_choices, maxTokens: endToken, contextLength: row.context_length };
  return holdWith(countsOf(row), limits, priceOfRow(row));
}

/** Writes a hold; returns by how many tokens it shrank. */
export function writeHold(sql: Sql, row: RequestRow, { tokens, nanos }: Hold): number {
  sql.exec('UPDATE requests SET hold_tokens = ?, hold_nanos = ? WHERE id = ?', tokens, nanos, row.id);
  return row.hold_tokens - tokens;
}

/** What the open requests may still use at most, together, and how many they are. */
export function heldByOpen(sql: Sql): Hold & { numOpen: number } {
  const query = `SELECT COUNT(*) AS numOpen, TOTAL(hold_tokens) AS tokens, TOTAL(hold_nanos) AS nanos
    FROM requests WHERE state = 'open'`;
  return sql.exec<{ numOpen: number; tokens: number; nanos: number }>(query).one();
}

export function closed(): TidarError {
  return new TidarError('conflict', 'This request is closed: it has its bill.');
}

export function takenOver(): TidarError {
  return new TidarError('stream_taken_over', 'Another connection took this answer over.');
}

export const sum = (counts: readonly number[]): number => counts.reduce((total, count) => total + count, 0);
