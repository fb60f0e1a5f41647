import type { Sql } from '../sql.ts';

/** Bills of one moment travel to the directory together. */
const OUTBOX_DELAY_MS = 2_000;

/** Has the directory told of what changed, soon; an earlier plan stands. */
export function scheduleOutbox(sql: Sql, nowMs: number, delayMs = OUTBOX_DELAY_MS): void {
  const query = `INSERT INTO due VALUES ('outbox', ?1) ON CONFLICT DO UPDATE SET at_ms = MIN(at_ms, ?1)`;
  sql.exec(query, nowMs + delayMs);
}

export function clearOutbox(sql: Sql): void {
  sql.exec(`DELETE FROM due WHERE task = 'outbox'`);
}

export function isOutboxDue(sql: Sql, nowMs: number): boolean {
  return sql.exec(`SELECT 1 FROM due WHERE task = 'outbox' AND at_ms <= ?`, nowMs).toArray().length > 0;
}

/** When the alarm has work next, if ever: an open request's end, the outbox, an answer that was kept long enough. */
export function nextDueMs(sql: Sql): number | undefined {
  const query = `SELECT MIN(due) AS due FROM (
    SELECT MIN(due_at_ms) AS due FROM requests WHERE state = 'open'
    UNION ALL SELECT MIN(at_ms) FROM due
    UNION ALL SELECT MIN(expires_at_ms) FROM idempotency)`;
  return sql.exec<{ due: number | null }>(query).one().due ?? undefined;
}
