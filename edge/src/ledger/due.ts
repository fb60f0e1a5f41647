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
  return isDue(sql, 'outbox', nowMs);
}

/** When old requests are looked for next; undefined: when there are any again. */
export function schedulePruning(sql: Sql, atMs: number | undefined): void {
  sql.exec(`DELETE FROM due WHERE task = 'prune'`);
  if (atMs !== undefined) sql.exec(`INSERT INTO due VALUES ('prune', ?)`, atMs);
}

/** A request came: one day it is old. */
export function ensurePruning(sql: Sql, atMs: number): void {
  sql.exec(`INSERT INTO due VALUES ('prune', ?) ON CONFLICT DO NOTHING`, atMs);
}

export function isPruningDue(sql: Sql, nowMs: number): boolean {
  return isDue(sql, 'prune', nowMs);
}

function isDue(sql: Sql, task: string, nowMs: number): boolean {
  return sql.exec(`SELECT 1 FROM due WHERE task = ? AND at_ms <= ?`, task, nowMs).toArray().length > 0;
}

/**
 * When the alarm has work next, if ever: a journal to ask, the outbox, old requests, an answer that was kept long
 * enough.
 */
export function nextDueMs(sql: Sql): number | undefined {
  const query = `SELECT MIN(due) AS due FROM (
    SELECT MIN(ask_at_ms) AS due FROM requests WHERE ask_at_ms IS NOT NULL
    UNION ALL SELECT MIN(at_ms) FROM due
    UNION ALL SELECT MIN(expires_at_ms) FROM idempotency)`;
  return sql.exec<{ due: number | null }>(query).one().due ?? undefined;
}
