import { scheduleOutbox } from './due.ts';
import type { Sql } from '../sql.ts';

/**
 * What a backup of a ledger holds: the key comes last, since a ledger that has its key is live. Totals are not part of
 * it: they are the sum of the requests, also of those that were billed while the backup was made.
 */
export const LEDGER_TABLES = ['requests', 'secrets', 'idempotency', 'answers', 'events', 'key'];

/** Sums up the bills that were read back, for the ledger and for the directory. */
export function rebuildTotals(sql: Sql, nowMs: number): void {
  sql.exec(
    `INSERT INTO totals (day, model, num_requests, prompt_tokens, cached_tokens, completion_tokens,
       num_forward_passes, cost_nanos)
     SELECT strftime('%Y-%m-%d', admitted_at_ms / 1000, 'unixepoch') AS day, model, COUNT(*), SUM(prompt_tokens),
       SUM(cached_tokens), SUM(completion_tokens), SUM(num_forward_passes),
       SUM((prompt_tokens - MIN(cached_tokens, prompt_tokens)) * prompt_price
         + MIN(cached_tokens, prompt_tokens) * cached_price + completion_tokens * completion_price)
     FROM requests WHERE state = 'settled' GROUP BY day, model`,
  );
  scheduleOutbox(sql, nowMs, 0);
}
