import type { JournalAnswer } from '@tidar/shared/journal.ts';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { nextDueMs } from '../../edge/src/ledger/due.ts';
import {
  dueQuestions,
  hearJournal,
  JOURNAL_RETENTION_MS,
  type JournalWord,
  RULE_AFTER_MS,
} from '../../edge/src/ledger/journal.ts';
import { pruneRequests } from '../../edge/src/ledger/prune.ts';
import { rebuildTotals } from '../../edge/src/ledger/backup.ts';
import { leaveReader } from '../../edge/src/ledger/readers.ts';
import { proveProgress, startRequest } from '../../edge/src/ledger/requests.ts';
import { findRow, type RequestRow } from '../../edge/src/ledger/rows.ts';
import { settleRequest } from '../../edge/src/ledger/settlement.ts';
import { raiseRequest, renewRequest } from '../../edge/src/ledger/slices.ts';
import { dailyTotals } from '../../edge/src/ledger/totals.ts';
import { EVERYTHING, sumUsage } from '../../edge/src/ledger/usage.ts';
import type { Sql } from '../../edge/src/sql.ts';
import { admitTo, GRACE_MS, HOUR_MS, newNodeLedger, NOON, progressOf } from '../support/node-ledger.ts';

const TERMS = { backend: 'http://one', maxTokens: 1_000, contextLength: 10_000, sliceTokens: 100 };
const DAY_MS = 24 * HOUR_MS;

function started(numDelivered = 0): Sql {
  const sql = newNodeLedger();
  admitTo(sql, 'a', TERMS);
  const row = proveProgress(sql, 'a', progressOf([0]), NOON) as RequestRow;
  startRequest(sql, row, { promptTokens: 10, cachedTokens: 2 });
  renewRequest(sql, 'a', progressOf([numDelivered]), NOON);
  return sql;
}

const answer = (numTokens: number, changes: Partial<JournalAnswer> = {}): JournalWord => ({
  answer: {
    request_id: 'a',
    attempt: 0,
    state: 'ended',
    model: 'demo',
    fingerprint: 'fp',
    seed: '1',
    prompt_token_ids: [],
    token_ids: null,
    token_counts: [numTokens],
    tokens_hash: 'h'.repeat(64),
    finish_reasons: ['stop'],
    usage: { prompt_tokens: 10, completion_tokens: numTokens, cached_tokens: 2, num_forward_passes: 3 },
    ...changes,
  },
});

/** What the alarm does at a time: asks what is due, hears the word, settles by it. */
function alarm(sql: Sql, nowMs: number, word: JournalWord): number {
  const questions = dueQuestions(sql, nowMs);
  for (const question of questions) {
    const settlement = hearJournal(sql, question, word, { nowMs, graceMs: GRACE_MS });
    if (settlement !== undefined) settleRequest(sql, question.requestId, settlement, nowMs);
  }
  return questions.length;
}

/** Alarms at their times, until a time. */
function alarmsUntil(sql: Sql, endMs: number, word: JournalWord): void {
  for (let dueMs = nextDueMs(sql); dueMs !== undefined && dueMs < endMs; dueMs = nextDueMs(sql)) {
    sql.exec('DELETE FROM due WHERE at_ms <= ?', dueMs);
    alarm(sql, dueMs, word);
  }
}

const total = (sql: Sql) => sumUsage(dailyTotals(sql, EVERYTHING));

describe('a request that nobody settled', () => {
  it.each([
    ['ended', 'stop'],
    ['failed', 'abandoned'],
    ['cancelled', 'cancelled'],
    ['interrupted', 'abandoned'],
  ] as const)('is billed exactly what the journal says once it is %s', (state, finishReason) => {
    const sql = started(40);
    expect(alarm(sql, NOON + GRACE_MS - 1, answer(77, { state }))).toBe(0);
    expect(alarm(sql, NOON + GRACE_MS, answer(77, { state }))).toBe(1);
    expect(findRow(sql, 'a')).toMatchObject({
      state: 'settled',
      finish_reason: finishReason,
      completion_tokens: 77,
      num_forward_passes: 3,
      estimated: 0,
      tokens_hash: 'h'.repeat(64),
      ask_at_ms: null,
    });
    expect(alarm(sql, NOON + DAY_MS, answer(99))).toBe(0);
  });

  it('is asked for again as long as it runs: soon where its client has left', () => {
    const sql = started(40);
    alarm(sql, NOON + GRACE_MS, answer(50, { state: 'running' }));
    expect(findRow(sql, 'a')).toMatchObject({ state: 'open', ask_at_ms: NOON + 2 * GRACE_MS });
    leaveReader(sql, 'a', progressOf([40]), { tokensHash: null, askAtMs: NOON + GRACE_MS + 5 });
    alarm(sql, NOON + GRACE_MS + 5, answer(50, { state: 'running' }));
    expect(findRow(sql, 'a')?.ask_at_ms).toBeLessThan(NOON + GRACE_MS + 5_000);
  });

  it('and never started costs nothing', () => {
    const sql = newNodeLedger();
    admitTo(sql, 'a', TERMS);
    alarm(sql, NOON + GRACE_MS, 'unknown');
    expect(findRow(sql, 'a')).toMatchObject({ state: 'settled', completion_tokens: 0, estimated: 0 });
    expect(total(sql)).toMatchObject({ num_requests: 1, prompt_tokens: 0, rule_loss_tokens: 0 });
  });

  it('whose next attempt never started is billed what was delivered before it was raised', () => {
    const sql = started(40);
    raiseRequest(sql, 'a', progressOf([55]), 'http://other', NOON);
    alarm(sql, NOON + GRACE_MS, 'unknown');
    expect(findRow(sql, 'a')).toMatchObject({ state: 'settled', completion_tokens: 55, estimated: 0 });
  });

  it('is not billed by an attempt that was raised while its journal was asked', () => {
    const sql = started(40);
    const [question] = dueQuestions(sql, NOON + GRACE_MS);
    raiseRequest(sql, 'a', progressOf([55]), 'http://other', NOON + GRACE_MS);
    expect(
      hearJournal(sql, question!, answer(90), { nowMs: NOON + GRACE_MS, graceMs: GRACE_MS }),
    ).toBeUndefined();
  });

  it('of the release before, which did not say where it went, is billed what was proven', () => {
    const sql = started(40);
    sql.exec('UPDATE requests SET backend = NULL');
    alarm(sql, NOON + GRACE_MS, 'unreachable');
    expect(findRow(sql, 'a')).toMatchObject({ state: 'settled', completion_tokens: 40, estimated: 1 });
  });
});

describe('a lost journal', () => {
  it.each(['unreachable', 'unknown'] as const)(
    'that is %s is asked for a day, then the rule bills what was proven and tells what it may have lost',
    (word) => {
      const sql = started(40);
      const lostAtMs = NOON + GRACE_MS;
      alarmsUntil(sql, lostAtMs + RULE_AFTER_MS, word);
      expect(findRow(sql, 'a')).toMatchObject({ state: 'open' });
      alarmsUntil(sql, lostAtMs + RULE_AFTER_MS + HOUR_MS, word);
      expect(findRow(sql, 'a')).toMatchObject({ state: 'settled', completion_tokens: 40, estimated: 1 });
      // Granted were 140.
      expect(findRow(sql, 'a')).toMatchObject({ rule_loss_tokens: 100 });
      expect(total(sql)).toMatchObject({ completion_tokens: 40, rule_loss_tokens: 100 });
    },
  );

  it('that comes back in time replaces the estimate once, and nothing is lost', () => {
    const sql = started(40);
    alarmsUntil(sql, NOON + RULE_AFTER_MS + 2 * HOUR_MS, 'unreachable');
    expect(total(sql)).toMatchObject({ completion_tokens: 40, rule_loss_tokens: 100 });
    alarmsUntil(sql, NOON + RULE_AFTER_MS + 3 * HOUR_MS, answer(77));
    expect(findRow(sql, 'a')).toMatchObject({ completion_tokens: 77, estimated: 0, rule_loss_tokens: 0 });
    expect(total(sql)).toMatchObject({ num_requests: 1, completion_tokens: 77, rule_loss_tokens: 0 });
    alarmsUntil(sql, NOON + 10 * DAY_MS, answer(99));
    expect(total(sql)).toMatchObject({ num_requests: 1, completion_tokens: 77 });
  });

  it('is asked no more once it must have forgotten', () => {
    const sql = started(40);
    alarmsUntil(sql, NOON + JOURNAL_RETENTION_MS + HOUR_MS, 'unreachable');
    expect(findRow(sql, 'a')).toMatchObject({ state: 'settled', ask_at_ms: null });
  });

  it('that answers in between begins its day anew', () => {
    const sql = started(40);
    alarmsUntil(sql, NOON + 20 * HOUR_MS, 'unreachable');
    expect(alarm(sql, NOON + 21 * HOUR_MS, answer(50, { state: 'running' }))).toBe(1);
    alarmsUntil(sql, NOON + 40 * HOUR_MS, 'unreachable');
    expect(findRow(sql, 'a')).toMatchObject({ state: 'open' });
  });
});

describe('old requests', () => {
  it('are forgotten one by one after their time, and the totals stay, also when they are summed up again', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.record({ day: fc.nat({ max: 60 }), tokens: fc.nat({ max: 50 }), isSettled: fc.boolean() }),
          {
            maxLength: 30,
          },
        ),
        (requests) => {
          const sql = newNodeLedger();
          for (const [index, { day, tokens, isSettled }] of requests.entries()) {
            const atMs = NOON + day * DAY_MS;
            admitTo(sql, `r${index}`, TERMS, atMs);
            const counts = {
              promptTokens: 2,
              cachedTokens: 1,
              completionTokens: tokens,
              numForwardPasses: 1,
            };
            const bill = {
              ...counts,
              attempt: 0,
              estimated: false,
              finishReason: 'stop' as const,
              tokensHash: null,
            };
            if (isSettled) settleRequest(sql, `r${index}`, bill, atMs);
          }
          const before = dailyTotals(sql, EVERYTHING);
          const nowMs = NOON + 60 * DAY_MS;
          pruneRequests(sql, 30, nowMs);
          pruneRequests(sql, 30, nowMs);
          const kept = requests.filter(({ day, isSettled }) => !isSettled || day >= 30);
          expect(sql.exec('SELECT id FROM requests').toArray()).toHaveLength(kept.length);
          expect(dailyTotals(sql, EVERYTHING)).toEqual(before);
          sql.exec('DELETE FROM totals');
          rebuildTotals(sql, nowMs);
          expect(dailyTotals(sql, EVERYTHING)).toEqual(before);
        },
      ),
      { numRuns: 50 },
    );
  });
});
