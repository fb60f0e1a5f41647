import { type Bucket, fullBucket } from './bucket.ts';
import type { NewKey } from './types.ts';

/** The ledger's one key: who it is, what it may do, and how full its bucket is. */
export interface KeyRecord {
  keyId: string;
  name: string | null;
  secretHash: string;
  requestsPerMinute: number;
  createdAtMs: number;
  bucket: Bucket;
}

interface KeyRow extends Record<string, SqlStorageValue> {
  key_id: string;
  name: string | null;
  secret_hash: string;
  requests_per_minute: number;
  created_at_ms: number;
  bucket_level_units: number;
  bucket_updated_at_ms: number;
}

export function findKey(sql: SqlStorage): KeyRecord | undefined {
  const [row] = sql.exec<KeyRow>('SELECT * FROM key').toArray();
  if (row === undefined) return undefined;
  return {
    keyId: row.key_id,
    name: row.name,
    secretHash: row.secret_hash,
    requestsPerMinute: row.requests_per_minute,
    createdAtMs: row.created_at_ms,
    bucket: { levelUnits: row.bucket_level_units, updatedAtMs: row.bucket_updated_at_ms },
  };
}

/** Writes the ledger's key; a ledger never changes to another key. */
export function insertKey(sql: SqlStorage, key: NewKey, nowMs: number): void {
  const bucket = fullBucket(key.requestsPerMinute, nowMs);
  sql.exec(
    'INSERT INTO key VALUES (1, ?, ?, ?, ?, ?, ?, ?)',
    key.keyId,
    key.name ?? null,
    key.secretHash,
    key.requestsPerMinute,
    nowMs,
    bucket.levelUnits,
    bucket.updatedAtMs,
  );
}

export function writeBucket(sql: SqlStorage, bucket: Bucket): void {
  sql.exec(
    'UPDATE key SET bucket_level_units = ?, bucket_updated_at_ms = ?',
    bucket.levelUnits,
    bucket.updatedAtMs,
  );
}
