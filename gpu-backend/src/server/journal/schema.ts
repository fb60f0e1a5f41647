import { DatabaseSync } from 'node:sqlite';
import { mkdirSync, openSync, closeSync } from 'node:fs';
import { dirname } from 'node:path';
import { TidarError } from '@tidar/shared/errors.ts';

/** Goes up with every change to the tables; a journal of another version is refused. */
const VERSION = 1;

/**
 * A generation is one attempt of a request. Its steps are what forward passes decided, in the order in which they were
 * sent; the tokens that it was resumed with are steps before them.
 */
const TABLES = `
  CREATE TABLE generations (
    id INTEGER PRIMARY KEY,
    request_id TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    state TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    closed_ms INTEGER,
    model TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    seed TEXT NOT NULL,
    is_stored INTEGER NOT NULL,
    num_prompt_tokens INTEGER NOT NULL,
    num_cached_tokens INTEGER,
    num_forward_passes INTEGER,
    finish_reasons TEXT NOT NULL,
    token_counts TEXT,
    tokens_hash TEXT,
    error TEXT,
    request TEXT,
    prompt_ids BLOB,
    prompt_logprobs TEXT,
    UNIQUE (request_id, attempt)
  ) STRICT;
  CREATE INDEX generations_by_closed ON generations (closed_ms);
  CREATE TABLE steps (
    generation INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    choice INTEGER NOT NULL,
    is_last INTEGER NOT NULL,
    token_ids BLOB NOT NULL,
    logprobs TEXT,
    PRIMARY KEY (generation, seq)
  ) STRICT, WITHOUT ROWID;
  PRAGMA user_version = ${VERSION};
`;

/**
 * Opens the file for this process alone, or makes it. What is committed survives the process's death by any signal.
 * A loss of power may take the last transactions, never the file: NORMAL waits for the disk at checkpoints only.
 */
export function openJournalFile(path: string): DatabaseSync {
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    closeSync(openSync(path, 'a', 0o600));
    const database = new DatabaseSync(path, { timeout: 0 });
    database.exec('PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;');
    database.exec('PRAGMA secure_delete = ON;');
    migrate(database, path);
    return database;
  } catch (error) {
    throw asSentence(error, path);
  }
}

function migrate(database: DatabaseSync, path: string): void {
  const found = Number(database.prepare('PRAGMA user_version').get()?.['user_version']);
  if (found === 0) return database.exec(`BEGIN IMMEDIATE; ${TABLES} COMMIT;`);
  if (found === VERSION) return database.exec('BEGIN IMMEDIATE; COMMIT;'); // takes the lock
  throw new TidarError(
    'internal',
    `The journal ${path} is of version ${found}, this release takes ${VERSION}: give another file by --journal.`,
  );
}

function asSentence(error: unknown, path: string): TidarError {
  if (error instanceof TidarError) return error;
  const internal = error instanceof Error ? error.message : String(error);
  const isLocked = internal.includes('locked');
  const sentence = isLocked
    ? `Another process has the journal ${path}; give another file by --journal.`
    : `The journal ${path} cannot be opened.`;
  return new TidarError('internal', sentence, isLocked ? {} : { internal });
}
