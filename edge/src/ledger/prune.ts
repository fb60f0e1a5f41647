import { costOfBills } from './backup.ts';
import { schedulePruning } from './due.ts';
import type { Sql } from '../sql.ts';

const DAY_MS = 24 * 3_600_000;
const EVERY_MS = 3_600_000;
const PAGE_ROWS = 1_000;

/**
 * Forgets requests that were billed long ago, one by one; the totals of their days and models stay, and with them what
 * they are the sum of.
 */
export function pruneRequests(sql: Sql, retentionDays: number, nowMs: number): void {
  const endMs = nowMs - retentionDays * DAY_MS;
  const old = `SELECT id FROM requests WHERE state = 'settled' AND ask_at_ms IS NULL AND admitted_at_ms < ?1
    AND id NOT IN (SELECT request_id FROM idempotency) ORDER BY admitted_at_ms LIMIT ${PAGE_ROWS}`;
  sql.exec(
    `INSERT INTO pruned ${costOfBills(`id IN (${old})`)}
     ON CONFLICT DO UPDATE SET num_requests = num_requests + excluded.num_requests,
     prompt_tokens = prompt_tokens + excluded.prompt_tokens, cached_tokens = cached_tokens + excluded.cached_tokens,
     completion_tokens = completion_tokens + excluded.completion_tokens,
     num_forward_passes = num_forward_passes + excluded.num_forward_passes,
     cost_nanos = cost_nanos + excluded.cost_nanos, rule_loss_tokens = rule_loss_tokens + excluded.rule_loss_tokens`,
    endMs,
  );
  const { rowsWritten } = sql.exec(`DELETE FROM requests WHERE id IN (${old})`, endMs);
  schedulePruning(sql, rowsWritten >= PAGE_ROWS ? nowMs : nextMs(sql, retentionDays, nowMs));
}

/** Not before the oldest request is old enough: a ledger that nobody uses is not woken for nothing. */
function nextMs(sql: Sql, retentionDays: number, nowMs: number): number | undefined {
  const query = 'SELECT MIN(admitted_at_ms) AS oldest FROM requests';
  const { oldest } = sql.exec<{ oldest: number | null }>(query).one();
  return oldest === null ? undefined : Math.max(nowMs + EVERY_MS, oldest + retentionDays * DAY_MS);
}
