import { errorBody, TidarError } from '@tidar/shared/errors.ts';
import { budgetState } from './budget.ts';
import { KeyObject } from './key-object.ts';
import { findKey, type KeyRecord, verifiedKey } from './key.ts';
import { LiveCounts, numOpen, openRequests } from './live.ts';
import { viewOf } from './outbox.ts';
import { findRequest, recentRequests } from './rows.ts';
import { dailyTotals } from './totals.ts';
import type { LiveRequest, Refused, RequestRecord, UsageFilter, UsageReport } from './types.ts';
import { EVERYTHING, sumUsage } from './usage.ts';

/** How long connections have to say how far they are, once they are asked. */
const WORD_WAIT_MS = 150;

/** What a ledger tells of its key's requests: to whoever holds the key, and to the admin. */
export abstract class KeyReports extends KeyObject {
  protected readonly liveCounts = new LiveCounts();

  /** What the key has used. */
  usage(secretHash: string, numRequests: number, filter: UsageFilter = EVERYTHING): UsageReport | Refused {
    const key = verifiedKey(this.sql, secretHash, Date.now());
    return key instanceof TidarError ? errorBody(key) : this.#reportOf(key, numRequests, filter);
  }

  /** The same for the admin, of a key that has ended too; undefined: there is no such key. */
  report(numRequests: number, filter: UsageFilter = EVERYTHING): UsageReport | undefined {
    const key = findKey(this.sql);
    return key && this.#reportOf(key, numRequests, filter);
  }

  /** One request of the key. */
  request(secretHash: string, requestId: string): { request: RequestRecord } | Refused | undefined {
    const key = verifiedKey(this.sql, secretHash, Date.now());
    if (key instanceof TidarError) return errorBody(key);
    const request = findRequest(this.sql, requestId);
    return request && { request };
  }

  /** The same for the admin. */
  record(requestId: string): RequestRecord | undefined {
    return findRequest(this.sql, requestId);
  }

  /** The requests that are open now, newest first: whoever relays one is woken, and says how far it is. */
  async live(limit: number): Promise<LiveRequest[]> {
    if (numOpen(this.sql) === 0) return [];
    this.waiters.wakeAll();
    await new Promise((resolve) => setTimeout(resolve, WORD_WAIT_MS));
    return openRequests(this.sql, this.liveCounts, limit);
  }

  #reportOf(key: KeyRecord, numRequests: number, filter: UsageFilter): UsageReport {
    const days = dailyTotals(this.sql, filter);
    const budget = budgetState(this.sql, key.settings, Date.now());
    return {
      object: 'usage',
      key: viewOf(key),
      total: sumUsage(days),
      held_tokens: budget.held_tokens,
      budget,
      days,
      requests: recentRequests(this.sql, numRequests, filter),
    };
  }
}
