import { TidarError } from '@tidar/shared/errors.ts';
import { take } from './bucket.ts';
import { budgetState } from './budget.ts';
import { findKey, type KeyRecord, keyEnd, writeTokenBucket } from './key.ts';
import { grantOf, holdUpTo, proveProgress, writeHold } from './requests.ts';
import { deliveredOf, priceOfRow, type RequestRow } from './rows.ts';
import type { Grant, Progress } from './types.ts';
import type { Sql } from '../sql.ts';

/** Less than this part of a slice is not worth a lease of its own, unless it is all that a budget has left. */
const LEAST_PART = 8;

/** Writes down what was delivered and grants up to a slice past it, as far as the key's limits have room. */
export function renewRequest(
  sql: Sql,
  requestId: string,
  progress: Progress,
  nowMs: number,
): Grant | TidarError {
  const row = proveProgress(sql, requestId, progress, nowMs);
  return row instanceof TidarError ? row : extend(sql, row, nowMs);
}

/**
 * The next attempt of a request, at another instance or at the same one again. What was delivered is where it begins;
 * the attempt before counts for nothing from here on.
 */
export function raiseRequest(
  sql: Sql,
  requestId: string,
  progress: Progress,
  backend: string,
  nowMs: number,
): Grant | TidarError {
  const row = proveProgress(sql, requestId, progress, nowMs);
  if (row instanceof TidarError) return row;
  const extended = extend(sql, row, nowMs);
  if (extended instanceof TidarError) return extended;
  const query = `UPDATE requests SET attempt = attempt + 1, backend = ?, lost_since_ms = NULL, num_asks = 0
    WHERE id = ?`;
  sql.exec(query, backend, requestId);
  return { ...extended, attempt: row.attempt + 1 };
}

/** A slice past the furthest choice; where the limits lack room, less of it, or the refusal that says why. */
function extend(sql: Sql, row: RequestRow, nowMs: number): Grant | TidarError {
  const key = findKey(sql);
  const end = key === undefined ? undefined : keyEnd(key, nowMs);
  if (key === undefined || end !== undefined) return end ?? grantOf(row);
  // Until the prompt is counted its bound is held, and nothing can have been delivered.
  if (row.started_attempt < 0) return grantOf(row);
  const limit = Math.min(row.max_tokens, Math.max(0, row.context_length - row.prompt_tokens));
  const wanted = Math.min(limit, Math.max(...deliveredOf(row)) + row.slice_tokens);
  const numMore = wanted - row.end_token;
  if (numMore <= 0) return grantOf(row);
  const room = new Room(sql, key, row, nowMs);
  const numGranted = Math.min(numMore, room.budget, room.bucket);
  const least = Math.min(numMore, room.budget, Math.ceil(row.slice_tokens / LEAST_PART));
  // What is granted and not used yet still serves: who asks early asks again.
  const isEnough = numGranted > 0 && numGranted >= least;
  if (!isEnough) return Math.max(...deliveredOf(row)) < row.end_token ? grantOf(row) : room.refusal(least);
  const endToken = row.end_token + numGranted;
  room.take(numGranted);
  writeHold(sql, row, holdUpTo(row, endToken));
  sql.exec('UPDATE requests SET end_token = ? WHERE id = ?', endToken, row.id);
  return { ...grantOf(row), endToken };
}

/** How many tokens more each choice of a request may still have, by the key's limits. */
class Room {
  readonly #sql: Sql;
  readonly #key: KeyRecord;
  readonly #row: RequestRow;
  readonly #nowMs: number;
  readonly budget: number;
  readonly bucket: number;

  constructor(sql: Sql, key: KeyRecord, row: RequestRow, nowMs: number) {
    this.#sql = sql;
    this.#key = key;
    this.#row = row;
    this.#nowMs = nowMs;
    this.budget = this.#budgetRoom();
    const perMinute = key.settings.tokens_per_minute;
    const remaining = perMinute === null ? Infinity : take(key.tokenBucket, perMinute, 0, nowMs).remaining;
    this.bucket = Math.floor(remaining / row.num_choices);
  }

  #budgetRoom(): number {
    const { budget_tokens: maxTokens, budget_nanos: maxNanos } = this.#key.settings;
    if (maxTokens === null && maxNanos === null) return Infinity;
    const state = budgetState(this.#sql, this.#key.settings, this.#nowMs);
    const { completion } = priceOfRow(this.#row);
    const tokens = (maxTokens ?? Infinity) - state.spent_tokens - state.held_tokens;
    const nanos = (maxNanos ?? Infinity) - state.spent_nanos - state.held_nanos;
    const affordable = completion === 0 ? Infinity : nanos / completion;
    return Math.max(0, Math.floor(Math.min(tokens, affordable) / this.#row.num_choices));
  }

  take(numTokens: number): void {
    const perMinute = this.#key.settings.tokens_per_minute;
    if (perMinute === null) return;
    const amount = numTokens * this.#row.num_choices;
    writeTokenBucket(this.#sql, take(this.#key.tokenBucket, perMinute, amount, this.#nowMs).bucket);
  }

  refusal(numLeast: number): TidarError {
    if (this.budget <= 0) {
      const message = "This key's budget is used up: the text ends here.";
      return new TidarError('insufficient_quota', message);
    }
    const perMinute = this.#key.settings.tokens_per_minute ?? 1;
    const amount = numLeast * this.#row.num_choices;
    const { retryAfterMs } = take(this.#key.tokenBucket, perMinute, amount, this.#nowMs);
    const message = `Rate limit reached: this key may use ${perMinute} tokens per minute, and the text needs more.`;
    return new TidarError('rate_limit_exceeded', message, { retryAfterMs });
  }
}
