import { beforeEach, describe, expect, it } from 'vitest';
import { admitNow } from '../../edge/src/ledger/admission.ts';
import { budgetState } from '../../edge/src/ledger/budget.ts';
import { nextDueMs } from '../../edge/src/ledger/due.ts';
import { answerNews, appendAnswer, pruneIdempotency } from '../../edge/src/ledger/idempotency.ts';
import { creation, rotation } from '../../edge/src/ledger/management.ts';
import { verifiedKey } from '../../edge/src/ledger/key.ts';
import { settleRequest } from '../../edge/src/ledger/settlement.ts';
import { MIGRATIONS } from '../../edge/src/ledger/schema.ts';
import { type SettingsChange, withDefaults } from '../../edge/src/ledger/settings.ts';
import type { Admission, Idempotency } from '../../edge/src/ledger/types.ts';
import { migrate } from '../../edge/src/migrate.ts';
import type { Sql } from '../../edge/src/sql.ts';
import { TEST_TERMS } from '../support/edge-harness.ts';
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
  const terms = TEST_TERMS;
  return admitNow(
    sql,
    { ...request, hold, terms, graceMs: HOUR_MS, ...(idempotency && { idempotency }) },
    nowMs,
  );
}

function bill(requestId: string, nowMs: number): void {
  const counts = { promptTokens: 0, cachedTokens: 0, completionTokens: 60, numForwardPasses: 1 };
  settleRequest(
    sql,
    requestId,
    { ...counts, attempt: 0, finishReason: 'stop', estimated: false, tokensHash: null },
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
    appendAnswer(sql, 'a', { contentType: 'application/json', text: 'x'.repeat(1_000_000), isWhole: true });
    const news = answerNews(sql, 'a', 0);
    expect(news).toMatchObject({ state: 'answered', numParts: 4 });
    expect(news?.parts.join('')).toBe('x'.repeat(1_000_000));
    expect(nextDueMs(sql)).toBeLessThanOrEqual(NOON + DAY_MS);
    pruneIdempotency(sql, NOON + DAY_MS - 1);
    expect(admit('b', NOON + DAY_MS - 1, same)).toEqual({ admitted: false, duplicateOf: 'a' });
    expect(admit('b', NOON + DAY_MS, { ...same, requestHash: 'other' })).toMatchObject({ admitted: true });
    pruneIdempotency(sql, NOON + DAY_MS);
    expect(sql.exec('SELECT * FROM answers').toArray()).toEqual([]);
  });

  it('has its answer in parts as they come, and none of it where it is too long', () => {
    createKey();
    admit('a', NOON, same);
    for (const text of ['one ', 'two ', 'three'])
      appendAnswer(sql, 'a', { contentType: 'text/event-stream', text, isWhole: text === 'three' });
    expect(answerNews(sql, 'a', 0)?.parts).toEqual(['one ', 'two ', 'three']);
    expect(answerNews(sql, 'a', 1)).toMatchObject({ parts: ['two ', 'three'], numParts: 3 });
    admit('b', NOON, { ...same, keyHash: 'long' });
    for (let part = 0; part < 9; part += 1)
      appendAnswer(sql, 'b', {
        contentType: 'text/event-stream',
        text: 'x'.repeat(1_000_000),
        isWhole: false,
      });
    expect(answerNews(sql, 'b', 0)).toMatchObject({ state: 'broken', parts: [] });
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
