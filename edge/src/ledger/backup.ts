import { scheduleOutbox, schedulePruning } from './due.ts';
import type { Sql } from '../sql.ts';

/**
 * What a backup of a ledger holds: the key comes last, since a ledger that has its key is live. Totals are not part of
 * it: they are the sum of the requests, also of those that were billed while the backup was made, and of the pruned.
 */
export const LEDGER_TABLES = ['requests', 'pruned', 'secrets', 'idempotency', 'answers', 'events', 'key'];

/** The sum of some bills, by day and model. */
export function costOfBills(where: string): string {
  return `SELECT strftime('%Y-%m-%d', admitted_at_ms / 1000, 'unixepoch') AS day, model, COUNT(*) AS num_requests,
    SUM(prompt_tokens) AS prompt_tokens, SUM(cached_tokens) AS cached_tokens,
    SUM(completion_tokens) AS completion_tokens, SUM(num_forward_passes) AS num_forward_passes,
    SUM((prompt_tokens - MIN(cached_tokens, prompt_tokens)) * prompt_price
      + MIN(cached_tokens, prompt_tokens) * cached_price + completion_tokens * completion_price) AS cost_nanos,
    SUM(rule_loss_tokens) AS rule_loss_tokens
    FROM requests WHERE state = 'settled' AND ${where} GROUP BY 1, 2`;
}

/** Sums up the bills that were read back, for the ledger and for the directory. */
export function rebuildTotals(sql: Sql, nowMs: number): void {
  sql.exec(
    `INSERT INTO totals (day, model, num_requests, prompt_tokens, cached_tokens, completion_tokens,
       num_forward_passes, cost_nanos, rule_loss_tokens)
     SELECT day, model, SUM(num_requests), SUM(prompt_tokens), SUM(cached_tokens), SUM(completion_tokens),
       SUM(num_forward_passes), SUM(cost_nanos), SUM(rule_loss_tokens)
     FROM (${costOfBills('TRUE')} UNION ALL SELECT * FROM pruned) GROUP BY 1, 2`,
  );
  scheduleOutbox(sql, nowMs, 0);
  schedulePruning(sql, nowMs);
}
