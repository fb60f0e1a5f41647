import { TidarError } from '@tidar/shared/errors.ts';
import { invalidApiKey } from '../auth/authenticate.ts';
import { equalInConstantTime } from '../auth/encoding.ts';
import { type Bucket, fullBucket } from './bucket.ts';
import { type KeySettings, parseSettings } from './settings.ts';
import type { Sql, SqlValue } from '../sql.ts';

/** The ledger's one key: who it is, what it may do, and how full its buckets are. */
export interface KeyRecord {
  keyId: string;
  settings: KeySettings;
  createdAtMs: number;
  revokedAtMs: number | null;
  requestBucket: Bucket;
  tokenBucket: Bucket;
  eventSeq: number;
}

interface KeyRow extends Record<string, SqlValue> {
  key_id: string;
  settings: string;
  created_at_ms: number;
  revoked_at_ms: number | null;
  request_level_units: number | null;
  request_updated_at_ms: number | null;
  token_level_units: number | null;
  token_updated_at_ms: number | null;
  event_seq: number;
}

export function findKey(sql: Sql): KeyRecord | undefined {
  const [row] = sql.exec<KeyRow>('SELECT * FROM key').toArray();
  if (row === undefined) return undefined;
  const settings = parseSettings(row.settings);
  const { requests_per_minute: requests, tokens_per_minute: tokens } = settings;
  return {
    keyId: row.key_id,
    settings,
    createdAtMs: row.created_at_ms,
    revokedAtMs: row.revoked_at_ms,
    requestBucket: bucketOf(row.request_level_units, row.request_updated_at_ms, requests),
    tokenBucket: bucketOf(row.token_level_units, row.token_updated_at_ms, tokens ?? 0),
    eventSeq: row.event_seq,
  };
}

function bucketOf(levelUnits: number | null, updatedAtMs: number | null, perMinute: number): Bucket {
  return levelUnits === null || updatedAtMs === null ? fullBucket(perMinute, 0) : { levelUnits, updatedAtMs };
}

/** The key that this is a secret of, while both are valid; else why not. */
export function verifiedKey(sql: Sql, secretHash: string, nowMs: number): KeyRecord | TidarError {
  const key = findKey(sql);
  if (key === undefined || !hasSecret(sql, secretHash, nowMs)) return invalidApiKey();
  return keyEnd(key, nowMs) ?? key;
}

/** Why a key is of no use any more, to a new request or to one that runs; undefined while it is. */
export function keyEnd({ revokedAtMs, settings }: KeyRecord, nowMs: number): TidarError | undefined {
  if (revokedAtMs !== null) return keyRevoked();
  if (settings.expires_at === null || settings.expires_at * 1000 > nowMs) return undefined;
  return new TidarError('key_expired', 'This API key has expired. Ask its issuer for another.');
}

export function keyRevoked(): TidarError {
  return new TidarError('key_revoked', 'This API key has been revoked. Ask its issuer for another.');
}

function hasSecret(sql: Sql, secretHash: string, nowMs: number): boolean {
  const query = 'SELECT hash FROM secrets WHERE valid_until_ms IS NULL OR valid_until_ms > ?';
  const hashes = sql.exec<{ hash: string }>(query, nowMs).toArray();
  return hashes.map(({ hash }) => equalInConstantTime(secretHash, hash)).includes(true);
}

/** Writes the ledger's key; a ledger never changes to another key. */
export function insertKey(sql: Sql, keyId: string, settings: KeySettings, nowMs: number): void {
  sql.exec(
    'INSERT INTO key (only_row, key_id, settings, created_at_ms, event_seq) VALUES (1, ?, ?, ?, 0)',
    keyId,
    JSON.stringify(settings),
    nowMs,
  );
}

export function writeSettings(sql: Sql, settings: KeySettings): void {
  sql.exec('UPDATE key SET settings = ?', JSON.stringify(settings));
}

export function writeRevoked(sql: Sql, nowMs: number): void {
  sql.exec('UPDATE key SET revoked_at_ms = ?', nowMs);
}

/** Adds a secret; every older one stays valid until `oldUntilMs` at the latest. */
export function addSecret(sql: Sql, hash: string, nowMs: number, oldUntilMs: number): void {
  sql.exec('DELETE FROM secrets WHERE valid_until_ms <= ?', nowMs);
  sql.exec('UPDATE secrets SET valid_until_ms = MIN(COALESCE(valid_until_ms, ?1), ?1)', oldUntilMs);
  sql.exec('INSERT INTO secrets VALUES (?, ?, NULL)', hash, nowMs);
}

export function writeRequestBucket(sql: Sql, { levelUnits, updatedAtMs }: Bucket): void {
  sql.exec('UPDATE key SET request_level_units = ?, request_updated_at_ms = ?', levelUnits, updatedAtMs);
}

export function writeTokenBucket(sql: Sql, { levelUnits, updatedAtMs }: Bucket): void {
  sql.exec('UPDATE key SET token_level_units = ?, token_updated_at_ms = ?', levelUnits, updatedAtMs);
}
