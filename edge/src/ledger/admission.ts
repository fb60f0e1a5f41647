import { errorBody, TidarError } from '@tidar/shared/errors.ts';
import { type BucketAnswer, giveBack, take } from './bucket.ts';
import { budgetRefusal } from './budget.ts';
import { claimIdempotency, findIdempotent } from './idempotency.ts';
import { findKey, type KeyRecord, verifiedKey, writeRequestBucket, writeTokenBucket } from './key.ts';
import { grantOf, heldByOpen, openRequest } from './requests.ts';
import { findRow, type RequestRow } from './rows.ts';
import type { Admission, LimitState, NewRequest, RateLimits } from './types.ts';
import type { Sql } from '../sql.ts';

/** Verifies, looks at every limit, and only then takes from any: all or nothing, without a wait in between. */
export function admitNow(sql: Sql, request: NewRequest, nowMs: number): Admission {
  const key = verifiedKey(sql, request.secretHash, nowMs);
  if (key instanceof TidarError) return { admitted: false, ...errorBody(key) };
  const limits = new Limits(key, request.hold.tokens, nowMs);
  // The same request once more, after a broken call: it has its place already.
  const there = findRow(sql, request.requestId);
  if (there !== undefined) return admitted(there, limits.before);
  const found = request.idempotency && findIdempotent(sql, request.idempotency, nowMs);
  if (found instanceof TidarError) return { admitted: false, ...errorBody(found) };
  if (found !== undefined) return { admitted: false, duplicateOf: found };
  const refusal =
    modelRefusal(key, request.model) ?? limits.refusal ?? otherRefusal(sql, key, request, nowMs);
  if (refusal !== undefined) return { admitted: false, ...errorBody(refusal), rateLimits: limits.before };
  limits.write(sql);
  openRequest(sql, request, nowMs);
  if (request.idempotency) claimIdempotency(sql, request.idempotency, request.requestId, nowMs);
  const opened = findRow(sql, request.requestId);
  if (opened === undefined) throw new Error('the request was not written');
  return admitted(opened, limits.after);
}

function admitted(row: RequestRow, rateLimits: RateLimits): Admission {
  return { admitted: true, rateLimits, grant: grantOf(row), createdMs: row.admitted_at_ms };
}

/** Tokens that were held and not used flow back into the tokens of the minute. */
export function giveBackTokens(sql: Sql, numTokens: number, nowMs: number): void {
  const key = findKey(sql);
  const perMinute = key?.settings.tokens_per_minute;
  if (key === undefined || perMinute == null || numTokens <= 0) return;
  writeTokenBucket(sql, giveBack(key.tokenBucket, perMinute, numTokens, nowMs));
}

/** A key's two buckets, as they are and as they would be after one more request. */
class Limits {
  readonly #key: KeyRecord;
  readonly #holdTokens: number;
  readonly #nowMs: number;
  readonly #requests: BucketAnswer;
  readonly #tokens: BucketAnswer | undefined;

  constructor(key: KeyRecord, holdTokens: number, nowMs: number) {
    const { requests_per_minute: requests, tokens_per_minute: tokens } = key.settings;
    this.#key = key;
    this.#holdTokens = holdTokens;
    this.#nowMs = nowMs;
    this.#requests = take(key.requestBucket, requests, 1, nowMs);
    this.#tokens = tokens === null ? undefined : take(key.tokenBucket, tokens, holdTokens, nowMs);
  }

  get before(): RateLimits {
    const { requests_per_minute: requests, tokens_per_minute: tokens } = this.#key.settings;
    const untouched = take(this.#key.requestBucket, requests, 0, this.#nowMs);
    if (tokens === null) return { requests: stateOf(untouched, requests) };
    const untouchedTokens = take(this.#key.tokenBucket, tokens, 0, this.#nowMs);
    return { requests: stateOf(untouched, requests), tokens: stateOf(untouchedTokens, tokens) };
  }

  get after(): RateLimits {
    const { requests_per_minute: requests, tokens_per_minute: tokens } = this.#key.settings;
    const state = { requests: stateOf(this.#requests, requests) };
    if (tokens === null || this.#tokens === undefined) return state;
    return { ...state, tokens: stateOf(this.#tokens, tokens) };
  }

  get refusal(): TidarError | undefined {
    const { requests_per_minute: requests, tokens_per_minute: tokens } = this.#key.settings;
    if (!this.#requests.admitted) {
      return limitReached(`start ${requests} requests per minute`, this.#requests.retryAfterMs);
    }
    if (tokens === null || this.#tokens === undefined || this.#tokens.admitted) return undefined;
    if (this.#holdTokens > tokens) return tooLarge(this.#holdTokens, tokens);
    const what = `use ${tokens} tokens per minute, and this request may need ${this.#holdTokens}`;
    return limitReached(what, this.#tokens.retryAfterMs);
  }

  write(sql: Sql): void {
    writeRequestBucket(sql, this.#requests.bucket);
    if (this.#tokens !== undefined) writeTokenBucket(sql, this.#tokens.bucket);
  }
}

function stateOf({ remaining, resetAfterMs }: BucketAnswer, limit: number): LimitState {
  return { limit, remaining, resetAfterMs };
}

function otherRefusal(
  sql: Sql,
  { settings }: KeyRecord,
  { hold }: NewRequest,
  nowMs: number,
): TidarError | undefined {
  const { concurrent_streams: maxOpen } = settings;
  if (maxOpen !== null && heldByOpen(sql).numOpen >= maxOpen) {
    const message = `This key may have ${maxOpen} requests open at once. Try again when one of them has ended.`;
    return new TidarError('rate_limit_exceeded', message, { retryAfterMs: 1000 });
  }
  return budgetRefusal(sql, settings, hold, nowMs);
}

function modelRefusal({ settings }: KeyRecord, model: string): TidarError | undefined {
  if (settings.models === null || settings.models.includes(model)) return undefined;
  const message = `This key may not use the model '${model}'. It may use: ${settings.models.join(', ') || 'none'}.`;
  return new TidarError('forbidden', message, { param: 'model' });
}

function limitReached(what: string, retryAfterMs: number): TidarError {
  const seconds = Math.max(1, Math.ceil(retryAfterMs / 1000));
  const message = `Rate limit reached: this key may ${what}. Try again in ${seconds} s.`;
  return new TidarError('rate_limit_exceeded', message, { retryAfterMs });
}

function tooLarge(holdTokens: number, limit: number): TidarError {
  const message =
    `This request may need ${holdTokens} tokens, and this key may use ${limit} per minute: ` +
    'it can never pass. Lower max_tokens, or shorten the prompt.';
  return new TidarError('rate_limit_exceeded', message, { retryable: false });
}
