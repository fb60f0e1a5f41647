import { beforeEach, describe, expect, it } from 'vitest';
import { admitNow } from '../../edge/src/ledger/admission.ts';
import { budgetState } from '../../edge/src/ledger/budget.ts';
import { nextDueMs } from '../../edge/src/ledger/due.ts';
import { findAnswer, pruneIdempotency, storeAnswer } from '../../edge/src/ledger/idempotency.ts';
import { creation, rotation } from '../../edge/src/ledger/management.ts';
import { verifiedKey } from '../../edge/src/ledger/key.ts';
import { settleRequest } from '../../edge/src/ledger/requests.ts';
import { MIGRATIONS } from '../../edge/src/ledger/schema.ts';
import { type SettingsChange, withDefaults } from '../../edge/src/ledger/settings.ts';
import type { Admission, Idempotency } from '../../edge/src/ledger/types.ts';
import { migrate } from '../../edge/src/migrate.ts';
import type { Sql } from '../../edge/src/sql.ts';
import { openNodeSql } from '../support/node-sql.ts';

const SECRET_HASH = 'a'.repeat(64);
const NOON = Date.UTC(2026, 0, 30, 12);
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

let sql: Sql;
beforeEach(() => {
  sql = openNodeSql();
  migrate(sql, MIGRATIONS);
});

const createKey = (settings: SettingsChange = {}): void =>
  creation({ keyId: 'k1', secretHash: SECRET_HASH, settings: withDefaults(settings) })(sql, 'test', NOON);

function admit(requestId: string, nowMs: number, idempotency?: Idempotency): Admission {
  const price = { prompt: 1, cached: 1, completion: 1 };
  const request = { requestId, secretHash: SECRET_HASH, model: 'demo', fingerprint: 'fp', seed: '1', price };
  const hold = { tokens: 60, nanos: 60 };
  return admitNow(sql, { ...request, hold, graceMs: HOUR_MS, ...(idempotency && { idempotency }) }, nowMs);
}

function bill(requestId: string, nowMs: number): void {
  const counts = { promptTokens: 0, cachedTokens: 0, completionTokens: 60, numForwardPasses: 1 };
  settleRequest(
    sql,
    requestId,
    { ...counts, finishReason: 'stop', estimated: false, tokensHash: null },
    nowMs,
  );
}

describe('a budget', () => {
  it.each([
    ['daily', NOON + 12 * HOUR_MS, Date.UTC(2026, 0, 31)],
    ['monthly', Date.UTC(2026, 1, 1), Date.UTC(2026, 1, 1)],
  ] as const)(
    'that is refilled %s is whole again at its time, and not a millisecond before',
    (refill, atMs, saidMs) => {
      createKey({ budget_tokens: 100, budget_refill: refill });
      expect(admit('a', NOON)).toMatchObject({ admitted: true });
      bill('a', NOON);
      expect(budgetState(sql, withDefaults({ budget_refill: refill }), NOON).refills_at).toBe(saidMs / 1000);
      expect(admit('b', atMs - 1)).toMatchObject({ admitted: false, error: { code: 'insufficient_quota' } });
      expect(admit('b', atMs)).toMatchObject({ admitted: true });
      expect(admit('c', atMs)).toMatchObject({ admitted: false });
    },
  );

  it('that is never refilled stays spent', () => {
    createKey({ budget_tokens: 100 });
    admit('a', NOON);
    bill('a', NOON);
    expect(admit('b', NOON + 400 * DAY_MS)).toMatchObject({ admitted: false });
  });

  it('counts what is open since before a refill: nothing held is forgotten', () => {
    createKey({ budget_tokens: 100, budget_refill: 'daily' });
    admit('a', NOON);
    expect(admit('b', NOON + DAY_MS)).toMatchObject({ admitted: false });
    bill('a', NOON + DAY_MS);
    expect(admit('b', NOON + DAY_MS)).toMatchObject({ admitted: true });
  });
});

describe('an Idempotency-Key', () => {
  const same = { keyHash: 'k', requestHash: 'r' };

  it('is kept for 24 hours to the millisecond, then forgotten with its answer', () => {
    createKey();
    admit('a', NOON, same);
    bill('a', NOON);
    storeAnswer(sql, 'a', 'application/json', 'x'.repeat(1_000_000));
    expect(findAnswer(sql, 'a', NOON)).toMatchObject({ state: 'answered', text: 'x'.repeat(1_000_000) });
    expect(nextDueMs(sql)).toBeLessThanOrEqual(NOON + DAY_MS);
    pruneIdempotency(sql, NOON + DAY_MS - 1);
    expect(admit('b', NOON + DAY_MS - 1, same)).toEqual({ admitted: false, duplicateOf: 'a' });
    expect(admit('b', NOON + DAY_MS, { ...same, requestHash: 'other' })).toMatchObject({ admitted: true });
    pruneIdempotency(sql, NOON + DAY_MS);
    expect(sql.exec('SELECT * FROM answers').toArray()).toEqual([]);
  });

  it('whose request was billed and whose answer never came is broken after a grace', () => {
    createKey();
    admit('a', NOON, same);
    bill('a', NOON);
    expect(findAnswer(sql, 'a', NOON + 1_000)).toEqual({ state: 'running' });
    expect(findAnswer(sql, 'a', NOON + HOUR_MS)).toEqual({ state: 'broken' });
  });
});

describe('a secret', () => {
  it('that was rotated out ends at its time, and a second rotation puts that off for none', () => {
    createKey();
    rotation('b'.repeat(64), HOUR_MS)(sql, 'test', NOON);
    rotation('c'.repeat(64), DAY_MS)(sql, 'test', NOON);
    const isValid = (letter: string, nowMs: number): boolean =>
      'keyId' in verifiedKey(sql, letter.repeat(64), nowMs);
    expect(['a', 'b', 'c'].map((letter) => isValid(letter, NOON + HOUR_MS - 1))).toEqual([true, true, true]);
    expect(['a', 'b', 'c'].map((letter) => isValid(letter, NOON + HOUR_MS))).toEqual([false, true, true]);
    expect(['a', 'b', 'c'].map((letter) => isValid(letter, NOON + DAY_MS))).toEqual([false, false, true]);
  });
});
