import { TidarError } from '@tidar/shared/errors.ts';
import { type BackupRow, checkVersion, loadRows } from '../backup.ts';
import type { Sql } from '../sql.ts';
import { LEDGER_TABLES, rebuildTotals } from './backup.ts';
import { addSecret, findKey, insertKey, keyRevoked, writeRevoked, writeSettings } from './key.ts';
import { recordEvent } from './outbox.ts';
import { changed, type SettingsChange } from './settings.ts';
import type { NewKey } from './types.ts';

/**
 * One change of a key, as the admin asks for it. Each writes itself into the outbox, and so into the audit log, in the
 * transaction that makes it.
 */
export type KeyChange = (sql: Sql, actor: string, nowMs: number) => void;

export const creation =
  ({ keyId, secretHash, settings }: NewKey): KeyChange =>
  (sql, actor, nowMs) => {
    insertKey(sql, keyId, settings, nowMs);
    addSecret(sql, secretHash, nowMs, nowMs);
    recordEvent(sql, { actor, action: 'key.create', detail: settings }, nowMs);
  };

export const update =
  (change: SettingsChange): KeyChange =>
  (sql, actor, nowMs) => {
    const key = findKey(sql);
    if (key === undefined) return;
    writeSettings(sql, changed(key.settings, change));
    recordEvent(sql, { actor, action: 'key.update', detail: change }, nowMs);
  };

export const rotation =
  (secretHash: string, graceMs: number): KeyChange =>
  (sql, actor, nowMs) => {
    if (findKey(sql)?.revokedAtMs != null) throw keyRevoked();
    addSecret(sql, secretHash, nowMs, nowMs + graceMs);
    const detail = { old_valid_until: Math.floor((nowMs + graceMs) / 1000) };
    recordEvent(sql, { actor, action: 'key.rotate', detail }, nowMs);
  };

export const revocation: KeyChange = (sql, actor, nowMs) => {
  if (findKey(sql)?.revokedAtMs != null) return;
  writeRevoked(sql, nowMs);
  recordEvent(sql, { actor, action: 'key.revoke', detail: {} }, nowMs);
};

/** Reads a backup's rows back into a ledger that has no key yet; the row of the key makes it live. */
export const restoration =
  (rows: readonly BackupRow[], version: number, expectedVersion: number): KeyChange =>
  (sql, actor, nowMs) => {
    if (findKey(sql) !== undefined) {
      throw new TidarError('conflict', 'This key is there already: a backup replaces no key.');
    }
    checkVersion(version, expectedVersion);
    loadRows(sql, LEDGER_TABLES, rows);
    if (findKey(sql) === undefined) return;
    rebuildTotals(sql, nowMs);
    recordEvent(sql, { actor, action: 'key.import', detail: {} }, nowMs);
  };
