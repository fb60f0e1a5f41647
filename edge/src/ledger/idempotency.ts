import { TidarError } from '@tidar/shared/errors.ts';
import type { AnswerNews, AnswerPart, Idempotency } from './types.ts';
import type { Sql, SqlValue } from '../sql.ts';

const KEPT_MS = 24 * 60 * 60 * 1000;
/** A row of a Durable Object holds 2 MB at most; a character takes up to 3 bytes. */
const PART_CHARACTERS = 300_000;
const MAX_ANSWER_CHARACTERS = 8_000_000;

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

/**
 * Keeps the next part of the answer of a request that has an Idempotency-Key; of any other it keeps nothing. An answer
 * that is too long is not kept: its key is broken then. Whether it is the last part, `isWhole` says.
 */
export function appendAnswer(sql: Sql, requestId: string, { contentType, text, isWhole }: AnswerPart): void {
  if (findState(sql, requestId)?.state !== 'running') return;
  const { numParts, numCharacters } = keptSoFar(sql, requestId);
  if (numCharacters + text.length > MAX_ANSWER_CHARACTERS) return forgetAnswer(sql, requestId);
  for (let piece = 0; piece * PART_CHARACTERS < text.length; piece += 1) {
    const part = text.slice(piece * PART_CHARACTERS, (piece + 1) * PART_CHARACTERS);
    sql.exec('INSERT INTO answers VALUES (?, ?, ?)', requestId, numParts + piece, part);
  }
  const query = `UPDATE idempotency SET state = ?, content_type = ? WHERE request_id = ?`;
  sql.exec(query, isWhole ? 'answered' : 'running', contentType, requestId);
}

function keptSoFar(sql: Sql, requestId: string): { numParts: number; numCharacters: number } {
  const query = `SELECT COUNT(*) AS numParts, COALESCE(SUM(LENGTH(text)), 0) AS numCharacters FROM answers
    WHERE request_id = ?`;
  return sql.exec<{ numParts: number; numCharacters: number }>(query, requestId).one();
}

/** Its key stays taken: the same request again is told so. */
export function forgetAnswer(sql: Sql, requestId: string): void {
  sql.exec('DELETE FROM answers WHERE request_id = ?', requestId);
  sql.exec(`UPDATE idempotency SET state = 'broken' WHERE request_id = ?`, requestId);
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

/** What there is of the answer after some of its parts; undefined once the key is free again. */
export function answerNews(
  sql: Sql,
  requestId: string,
  afterPart: number,
): Omit<AnswerNews, 'isVacant'> | undefined {
  const row = findState(sql, requestId);
  if (row === undefined) return undefined;
  const query = 'SELECT text FROM answers WHERE request_id = ? AND part >= ? ORDER BY part';
  const parts = sql.exec<{ text: string }>(query, requestId, afterPart).toArray();
  const numParts = afterPart + parts.length;
  return { state: row.state, contentType: row.content_type, parts: parts.map(({ text }) => text), numParts };
}

/** Forgets what was kept long enough. */
export function pruneIdempotency(sql: Sql, nowMs: number): void {
  const expired = 'SELECT request_id FROM idempotency WHERE expires_at_ms <= ?';
  sql.exec(`DELETE FROM answers WHERE request_id IN (${expired})`, nowMs);
  sql.exec('DELETE FROM idempotency WHERE expires_at_ms <= ?', nowMs);
}

function findState(sql: Sql, requestId: string): IdempotencyRow | undefined {
  const query = 'SELECT * FROM idempotency WHERE request_id = ?';
  return sql.exec<IdempotencyRow>(query, requestId).toArray()[0];
}
