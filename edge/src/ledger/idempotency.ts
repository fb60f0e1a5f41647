import { TidarError } from '@tidar/shared/errors.ts';
import type { Idempotency, StoredAnswer } from './types.ts';
import type { Sql, SqlValue } from '../sql.ts';

const KEPT_MS = 24 * 60 * 60 * 1000;
/** A row of a Durable Object holds 2 MB at most; a character takes up to 3 bytes. */
const PART_CHARACTERS = 300_000;
const MAX_ANSWER_CHARACTERS = 8_000_000;
/** How long after its bill an answer may still come. */
const ANSWER_GRACE_MS = 30_000;

interface IdempotencyRow extends Record<string, SqlValue> {
  request_hash: string;
  request_id: string;
  state: 'running' | 'answered' | 'broken';
  content_type: string | null;
}

/** The request that has this Idempotency-Key already; an error if it was another one. */
export function findIdempotent(
  sql: Sql,
  { keyHash, requestHash }: Idempotency,
  nowMs: number,
): string | TidarError | undefined {
  const query = 'SELECT * FROM idempotency WHERE key_hash = ? AND expires_at_ms > ?';
  const [row] = sql.exec<IdempotencyRow>(query, keyHash, nowMs).toArray();
  if (row === undefined || row.request_hash === requestHash) return row?.request_id;
  const message = 'This Idempotency-Key was sent with another request. Use a new key for a new request.';
  return new TidarError('idempotency_mismatch', message);
}

export function claimIdempotency(
  sql: Sql,
  { keyHash, requestHash }: Idempotency,
  requestId: string,
  nowMs: number,
): void {
  pruneIdempotency(sql, nowMs);
  sql.exec(
    'INSERT INTO idempotency (key_hash, request_hash, request_id, expires_at_ms) VALUES (?, ?, ?, ?)',
    keyHash,
    requestHash,
    requestId,
    nowMs + KEPT_MS,
  );
}

/** Keeps the answer of a request that has an Idempotency-Key; of any other it keeps nothing. */
export function storeAnswer(sql: Sql, requestId: string, contentType: string, text: string): void {
  if (findState(sql, requestId)?.state !== 'running' || text.length > MAX_ANSWER_CHARACTERS) return;
  for (let part = 0; part * PART_CHARACTERS < text.length; part += 1) {
    const piece = text.slice(part * PART_CHARACTERS, (part + 1) * PART_CHARACTERS);
    sql.exec('INSERT OR REPLACE INTO answers VALUES (?, ?, ?)', requestId, part, piece);
  }
  const query = `UPDATE idempotency SET state = 'answered', content_type = ? WHERE request_id = ?`;
  sql.exec(query, contentType, requestId);
}

/**
 * A settled request that has no answer: if it cost nothing its Idempotency-Key is free again, else the key stays
 * taken, so that no second bill comes of it.
 */
export function closeIdempotency(sql: Sql, requestId: string, isBilled: boolean): void {
  const query = isBilled
    ? `UPDATE idempotency SET state = 'broken' WHERE request_id = ? AND state = 'running'`
    : `DELETE FROM idempotency WHERE request_id = ? AND state = 'running'`;
  sql.exec(query, requestId);
}

/** The answer, or why there is none; undefined once the key is free again. */
export function findAnswer(sql: Sql, requestId: string, nowMs: number): StoredAnswer | undefined {
  const row = findState(sql, requestId);
  if (row === undefined) return undefined;
  if (row.state === 'running')
    return isLost(sql, requestId, nowMs) ? { state: 'broken' } : { state: 'running' };
  if (row.state === 'broken') return { state: 'broken' };
  const query = 'SELECT text FROM answers WHERE request_id = ? ORDER BY part';
  const parts = sql.exec<{ text: string }>(query, requestId).toArray();
  const contentType = row.content_type ?? 'application/json';
  return { state: 'answered', contentType, text: parts.map(({ text }) => text).join('') };
}

/** Forgets what was kept long enough. */
export function pruneIdempotency(sql: Sql, nowMs: number): void {
  const expired = 'SELECT request_id FROM idempotency WHERE expires_at_ms <= ?';
  sql.exec(`DELETE FROM answers WHERE request_id IN (${expired})`, nowMs);
  sql.exec('DELETE FROM idempotency WHERE expires_at_ms <= ?', nowMs);
}

/** Billed, and whoever had the answer has not brought it. */
function isLost(sql: Sql, requestId: string, nowMs: number): boolean {
  const query = `SELECT 1 FROM requests WHERE id = ? AND settled_at_ms < ?`;
  return sql.exec(query, requestId, nowMs - ANSWER_GRACE_MS).toArray().length > 0;
}

function findState(sql: Sql, requestId: string): IdempotencyRow | undefined {
  const query = 'SELECT * FROM idempotency WHERE request_id = ?';
  return sql.exec<IdempotencyRow>(query, requestId).toArray()[0];
}
