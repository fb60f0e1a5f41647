import {
  type Heartbeat,
  HEARTBEAT_INTERVAL_MS,
  HEARTBEAT_TOLERANCE_MS,
  heartbeatSchema,
} from '@tidar/shared/heartbeat.ts';
import type { Sql } from '../sql.ts';

/** As the ledger's: each entry brings the tables one version further, and is never changed. */
export const MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE backends (
    address TEXT PRIMARY KEY,
    -- JSON of the last Heartbeat.
    heartbeat TEXT NOT NULL,
    -- By the backend's clock: no heartbeat that was sent earlier, or the same once more, is taken.
    sent_at_ms INTEGER NOT NULL,
    received_at_ms INTEGER NOT NULL
  );
  `,
];

/** What of a heartbeat routing needs. */
export type BackendWord = Pick<
  Heartbeat,
  'address' | 'protocol_version' | 'models' | 'load' | 'draining' | 'sent_at_ms'
>;

/** So many heartbeats may be lost before a backend counts as gone. */
const LIVE_MS = 4 * HEARTBEAT_INTERVAL_MS;
/** No heartbeat that is older than the tolerance is taken at all, so what was heard before may be forgotten then. */
const FORGOTTEN_MS = 4 * HEARTBEAT_TOLERANCE_MS;

/** Whether it is news: replayed, doubled and overtaken heartbeats are none. */
export function receiveHeartbeat(sql: Sql, heartbeat: Heartbeat, nowMs: number): boolean {
  sql.exec('DELETE FROM backends WHERE received_at_ms < ?', nowMs - FORGOTTEN_MS);
  const { rowsWritten } = sql.exec(
    `INSERT INTO backends VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET heartbeat = excluded.heartbeat,
     sent_at_ms = excluded.sent_at_ms, received_at_ms = excluded.received_at_ms
     WHERE excluded.sent_at_ms > sent_at_ms`,
    ...[heartbeat.address, JSON.stringify(heartbeat), heartbeat.sent_at_ms, nowMs],
  );
  return rowsWritten > 0;
}

/** The last word of each backend that was heard of lately. */
export function liveBackends(sql: Sql, nowMs: number): BackendWord[] {
  const query = 'SELECT heartbeat FROM backends WHERE received_at_ms >= ? ORDER BY address';
  return sql
    .exec<{ heartbeat: string }>(query, nowMs - LIVE_MS)
    .toArray()
    .map(({ heartbeat }) => {
      const { slot_curve: _, ...word } = heartbeatSchema.parse(JSON.parse(heartbeat));
      return word;
    });
}

/** A backend's last heartbeat and when it came. */
export interface HeardBackend {
  heartbeat: Omit<Heartbeat, 'slot_curve'>;
  /** Pairs of texts and milliseconds. */
  slotCurve: number[][] | undefined;
  receivedAtMs: number;
}

/** The last word of each backend that is not forgotten, whole. */
export function allHeard(sql: Sql, nowMs: number): HeardBackend[] {
  const query = 'SELECT heartbeat, received_at_ms FROM backends WHERE received_at_ms >= ? ORDER BY address';
  return sql
    .exec<{ heartbeat: string; received_at_ms: number }>(query, nowMs - FORGOTTEN_MS)
    .toArray()
    .map((row) => {
      const { slot_curve: slotCurve, ...heartbeat } = heartbeatSchema.parse(JSON.parse(row.heartbeat));
      return { heartbeat, slotCurve, receivedAtMs: row.received_at_ms };
    });
}
