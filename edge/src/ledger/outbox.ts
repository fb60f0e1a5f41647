import type { Batch, KeyEvent } from '../directory/types.ts';
import { clearOutbox, scheduleOutbox } from './due.ts';
import { findKey, type KeyRecord } from './key.ts';
import { markTotalsSent, unsentTotals } from './totals.ts';
import type { KeyView } from './types.ts';
import type { Sql, SqlValue } from '../sql.ts';

const MAX_ITEMS = 200;
const RETRY_MS = 10_000;

interface EventRow extends Record<string, SqlValue> {
  seq: number;
  at_ms: number;
  actor: string;
  action: string;
  detail: string;
}

/** Writes a change of the key into the outbox, in the transaction of the change: neither is without the other. */
export function recordEvent(
  sql: Sql,
  event: Pick<KeyEvent, 'actor' | 'action'> & { detail: object },
  nowMs: number,
): void {
  sql.exec('UPDATE key SET event_seq = event_seq + 1');
  const query = 'INSERT INTO events SELECT event_seq, ?, ?, ?, ? FROM key';
  sql.exec(query, nowMs, event.actor, event.action, JSON.stringify(event.detail));
  scheduleOutbox(sql, nowMs, 0);
}

/** What the directory has yet to hear; undefined if nothing. It may hear it twice. */
export function nextBatch(sql: Sql): Batch | undefined {
  const key = findKey(sql);
  if (key === undefined) return undefined;
  const events = sql.exec<EventRow>('SELECT * FROM events ORDER BY seq LIMIT ?', MAX_ITEMS).toArray();
  const totals = unsentTotals(sql, MAX_ITEMS);
  if (events.length === 0 && totals.length === 0) return undefined;
  return {
    key: viewOf(key),
    keyVersion: key.eventSeq,
    events: events.map((row) => ({
      seq: row.seq,
      atMs: row.at_ms,
      actor: row.actor,
      action: row.action,
      detail: row.detail,
    })),
    totals,
  };
}

/** The directory has it: what changed meanwhile stays to be sent. */
export function confirmBatch(sql: Sql, { events, totals }: Batch): void {
  const last = events.at(-1);
  if (last !== undefined) sql.exec('DELETE FROM events WHERE seq <= ?', last.seq);
  markTotalsSent(sql, totals);
  if (nextBatch(sql) === undefined) clearOutbox(sql);
}

/** The directory could not be reached: later again. */
export function delayOutbox(sql: Sql, nowMs: number): void {
  clearOutbox(sql);
  if (nextBatch(sql) !== undefined) scheduleOutbox(sql, nowMs, RETRY_MS);
}

export function viewOf(key: KeyRecord): KeyView {
  return {
    id: key.keyId,
    created: Math.floor(key.createdAtMs / 1000),
    revoked_at: key.revokedAtMs === null ? null : Math.floor(key.revokedAtMs / 1000),
    ...key.settings,
  };
}
