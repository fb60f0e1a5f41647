import { admitNow } from '../../edge/src/ledger/admission.ts';
import { creation } from '../../edge/src/ledger/management.ts';
import { MIGRATIONS } from '../../edge/src/ledger/schema.ts';
import { type SettingsChange, withDefaults } from '../../edge/src/ledger/settings.ts';
import type { Admission, Progress, RequestTerms } from '../../edge/src/ledger/types.ts';
import { migrate } from '../../edge/src/migrate.ts';
import type { Sql } from '../../edge/src/sql.ts';
import { TEST_TERMS } from './edge-harness.ts';
import { openNodeSql } from './node-sql.ts';

export const NOON = Date.UTC(2026, 0, 30, 12);
export const HOUR_MS = 3_600_000;
export const SECRET_HASH = 'a'.repeat(64);
export const PRICE = { prompt: 1, cached: 1, completion: 1 };
export const GRACE_MS = 60_000;

/** The tables of a ledger with a key, and a clock that a test moves. */
export function newNodeLedger(settings: SettingsChange = {}): Sql {
  const sql = openNodeSql();
  migrate(sql, MIGRATIONS);
  const generous = withDefaults({ requests_per_minute: 1_000_000, ...settings });
  creation({ keyId: 'k1', secretHash: SECRET_HASH, settings: generous })(sql, 'test', NOON);
  return sql;
}

export function admitTo(
  sql: Sql,
  requestId: string,
  terms: Partial<RequestTerms> = {},
  nowMs = NOON,
): Admission {
  const all = { ...TEST_TERMS, ...terms };
  const tokens = 10 + all.numChoices * Math.min(all.maxTokens, all.sliceTokens);
  const request = { requestId, secretHash: SECRET_HASH, model: 'demo', fingerprint: 'fp', seed: '1' };
  const hold = { tokens, nanos: tokens };
  return admitNow(sql, { ...request, price: PRICE, hold, terms: all, graceMs: GRACE_MS }, nowMs);
}

export const progressOf = (delivered: number[], changes: Partial<Progress> = {}): Progress => ({
  attempt: 0,
  reader: 0,
  delivered,
  numForwardPasses: 1,
  graceMs: GRACE_MS,
  ...changes,
});
