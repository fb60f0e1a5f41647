import { DurableObject } from 'cloudflare:workers';
import { errorBody, TidarError } from '@tidar/shared/errors.ts';
import { invalidApiKey } from '../auth/authenticate.ts';
import { equalInConstantTime } from '../auth/encoding.ts';
import { takeRequest } from './bucket.ts';
import { findKey, insertKey, type KeyRecord, writeBucket } from './key.ts';
import {
  dailyTotals,
  hasRequest,
  heldTokens,
  nextDueMs,
  openRequest,
  recentRequests,
  reportRequest,
  settleDueRequests,
  settleRequest,
} from './requests.ts';
import { MIGRATIONS } from './schema.ts';
import type { Admission, NewKey, NewRequest, RateLimit, Settlement, Report, UsageReport } from './types.ts';
import { sumUsage } from './usage.ts';

/**
 * The ledger of one API key: its limits and its bills. All between a check and its write is synchronous SQL in
 * one transaction, so that no two requests can pass on the same allowance.
 */
export class Ledger extends DurableObject {
  readonly #sql: SqlStorage;

  constructor(ctx: DurableObjectState, env: Cloudflare.Env) {
    super(ctx, env);
    this.#sql = ctx.storage.sql;
    void ctx.blockConcurrencyWhile(async () => {
      ctx.storage.transactionSync(() => migrate(this.#sql));
      await this.#armAlarm();
    });
  }

  /** Writes the key that this ledger is for. */
  create(key: NewKey): void {
    insertKey(this.#sql, key, Date.now());
  }

  /** Whether this is the key's secret. */
  verify(secretHash: string): boolean {
    return this.#verifiedKey(secretHash) !== undefined;
  }

  /** Verifies the key, takes from its limit and opens the request with its hold: all or nothing. */
  async admit(request: NewRequest): Promise<Admission> {
    const nowMs = Date.now();
    const admission = this.ctx.storage.transactionSync(() => this.#admitNow(request, nowMs));
    if (admission.admitted) await this.#armAlarm();
    return admission;
  }

  /** Raises what is proven of an open request, and lowers its hold. */
  report(requestId: string, report: Report): void {
    this.ctx.storage.transactionSync(() => reportRequest(this.#sql, requestId, report, Date.now()));
  }

  /** Writes a request's one bill; calling it again changes nothing. */
  settle(requestId: string, settlement: Settlement): void {
    this.ctx.storage.transactionSync(() => settleRequest(this.#sql, requestId, settlement, Date.now()));
  }

  /** What the key has used; undefined if this is not its secret. */
  usage(secretHash: string, numRequests: number): UsageReport | undefined {
    const key = this.#verifiedKey(secretHash);
    if (key === undefined) return undefined;
    const days = dailyTotals(this.#sql);
    return {
      object: 'usage',
      key: {
        id: key.keyId,
        name: key.name,
        requests_per_minute: key.requestsPerMinute,
        created: Math.floor(key.createdAtMs / 1000),
      },
      total: sumUsage(days),
      held_tokens: heldTokens(this.#sql),
      days,
      requests: recentRequests(this.#sql, numRequests),
    };
  }

  /** Settles what was left open, then waits for the next that is due. */
  override async alarm(): Promise<void> {
    try {
      this.ctx.storage.transactionSync(() => settleDueRequests(this.#sql, Date.now()));
    } finally {
      await this.#armAlarm();
    }
  }

  #admitNow(request: NewRequest, nowMs: number): Admission {
    const key = this.#verifiedKey(request.secretHash);
    if (key === undefined) return { admitted: false, ...errorBody(invalidApiKey()) };
    const answer = takeRequest(key.bucket, key.requestsPerMinute, nowMs);
    const { remaining, retryAfterMs, resetAfterMs } = answer;
    const rateLimit: RateLimit = { limit: key.requestsPerMinute, remaining, retryAfterMs, resetAfterMs };
    // The same request once more, after a broken call: it has its place already.
    if (hasRequest(this.#sql, request.requestId)) return { admitted: true, rateLimit };
    if (!answer.admitted) return { admitted: false, ...errorBody(limitReached(rateLimit)), rateLimit };
    writeBucket(this.#sql, answer.bucket);
    openRequest(this.#sql, request, nowMs);
    return { admitted: true, rateLimit };
  }

  #verifiedKey(secretHash: string): KeyRecord | undefined {
    const key = findKey(this.#sql);
    return key !== undefined && equalInConstantTime(secretHash, key.secretHash) ? key : undefined;
  }

  /** While a request is open an alarm is set, no later than its due time. */
  async #armAlarm(): Promise<void> {
    const dueMs = nextDueMs(this.#sql);
    if (dueMs === undefined) return;
    const armedMs = await this.ctx.storage.getAlarm();
    if (armedMs === null || armedMs > dueMs) await this.ctx.storage.setAlarm(dueMs);
  }
}

function migrate(sql: SqlStorage): void {
  sql.exec('CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL)');
  const [row] = sql.exec<{ version: number }>('SELECT version FROM schema_version').toArray();
  const pending = MIGRATIONS.slice(row?.version ?? 0);
  if (pending.length === 0) return;
  for (const statements of pending) sql.exec(statements);
  sql.exec('DELETE FROM schema_version');
  sql.exec('INSERT INTO schema_version VALUES (?)', MIGRATIONS.length);
}

function limitReached({ limit, retryAfterMs }: RateLimit): TidarError {
  const seconds = Math.max(1, Math.ceil(retryAfterMs / 1000));
  const message = `Rate limit reached: this key may start ${limit} requests per minute. Try again in ${seconds} s.`;
  return new TidarError('rate_limit_exceeded', message, { retryAfterMs });
}
