import { TidarError } from '@tidar/shared/errors.ts';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { budgetState } from '../../edge/src/ledger/budget.ts';
import { findKey } from '../../edge/src/ledger/key.ts';
import { attachReader } from '../../edge/src/ledger/readers.ts';
import { heldByOpen, proveProgress, startRequest } from '../../edge/src/ledger/requests.ts';
import { findRow } from '../../edge/src/ledger/rows.ts';
import type { SettingsChange } from '../../edge/src/ledger/settings.ts';
import { settleRequest } from '../../edge/src/ledger/settlement.ts';
import { raiseRequest, renewRequest } from '../../edge/src/ledger/slices.ts';
import type { RequestTerms } from '../../edge/src/ledger/types.ts';
import type { Sql } from '../../edge/src/sql.ts';
import { admitTo, HOUR_MS, newNodeLedger, NOON, progressOf } from '../support/node-ledger.ts';

const LONG: RequestTerms = {
  backend: 'http://one',
  numChoices: 1,
  maxTokens: 1_000,
  contextLength: 10_000,
  sliceTokens: 100,
  includeUsage: false,
};
const OTHER = 'http://other';

/** A ledger with one long request whose prompt of 10 tokens is counted. */
function started(settings: SettingsChange = {}, terms: Partial<RequestTerms> = {}): Sql {
  const sql = newNodeLedger(settings);
  expect(admitTo(sql, 'a', { ...LONG, ...terms })).toMatchObject({ admitted: true, grant: { attempt: 0 } });
  const row = proveProgress(sql, 'a', progressOf([0]), NOON);
  if (row instanceof TidarError) throw row;
  startRequest(sql, row, { promptTokens: 10, cachedTokens: 0 });
  return sql;
}

const codeOf = (answer: unknown): string | undefined =>
  answer instanceof TidarError ? answer.code : undefined;
const bill = (completionTokens: number, attempt = 0, reader?: number) => ({
  promptTokens: 10,
  cachedTokens: 0,
  completionTokens,
  numForwardPasses: 1,
  attempt,
  finishReason: 'stop' as const,
  estimated: false,
  tokensHash: null,
  ...(reader === undefined ? {} : { reader }),
});

describe('a slice', () => {
  it('is all that a long request holds, and the next ends a slice past what was delivered', () => {
    const sql = started();
    expect(heldByOpen(sql)).toMatchObject({ tokens: 110 });
    expect(renewRequest(sql, 'a', progressOf([60]), NOON)).toEqual({ attempt: 0, endToken: 160 });
    expect(heldByOpen(sql)).toMatchObject({ tokens: 170 });
    expect(renewRequest(sql, 'a', progressOf([40]), NOON)).toEqual({ attempt: 0, endToken: 160 });
    expect(renewRequest(sql, 'a', progressOf([990]), NOON)).toEqual({ attempt: 0, endToken: 1_000 });
    settleRequest(sql, 'a', bill(995), NOON);
    expect(heldByOpen(sql)).toMatchObject({ tokens: 0, numOpen: 0 });
  });

  it('goes by the furthest choice, and is held for each', () => {
    const sql = started({}, { numChoices: 3 });
    expect(renewRequest(sql, 'a', progressOf([10, 70, 30]), NOON)).toMatchObject({ endToken: 170 });
    expect(heldByOpen(sql)).toMatchObject({ tokens: 10 + 3 * 170 });
  });

  it('ends with the context, which the prompt has a part of', () => {
    const sql = started({}, { contextLength: 250 });
    expect(renewRequest(sql, 'a', progressOf([200]), NOON)).toMatchObject({ endToken: 240 });
  });

  it('is as much as a budget has left, then the text ends with a clear refusal', () => {
    const sql = started({ budget_tokens: 180 });
    expect(renewRequest(sql, 'a', progressOf([90]), NOON)).toMatchObject({ endToken: 170 });
    expect(renewRequest(sql, 'a', progressOf([150]), NOON)).toMatchObject({ endToken: 170 });
    expect(codeOf(renewRequest(sql, 'a', progressOf([170]), NOON))).toBe('insufficient_quota');
    settleRequest(sql, 'a', bill(170), NOON);
    expect(budgetState(sql, findKey(sql)!.settings, NOON)).toMatchObject({
      spent_tokens: 180,
      held_tokens: 0,
    });
  });

  it('waits for the tokens of the minute, and says how long', () => {
    const sql = started({ tokens_per_minute: 120 });
    expect(renewRequest(sql, 'a', progressOf([50]), NOON)).toMatchObject({ endToken: 100 });
    const refused = renewRequest(sql, 'a', progressOf([100]), NOON);
    expect(refused).toMatchObject({ code: 'rate_limit_exceeded', retryable: true });
    const waitMs = (refused as TidarError).retryAfterMs!;
    expect(codeOf(renewRequest(sql, 'a', progressOf([100]), NOON + waitMs - 1))).toBe('rate_limit_exceeded');
    expect(renewRequest(sql, 'a', progressOf([100]), NOON + waitMs)).toMatchObject({ attempt: 0 });
  });

  it('is refused to a key that has ended meanwhile', () => {
    const sql = started({ expires_at: NOON / 1000 + 3600 });
    expect(renewRequest(sql, 'a', progressOf([60]), NOON + HOUR_MS - 1)).toMatchObject({ endToken: 160 });
    expect(codeOf(renewRequest(sql, 'a', progressOf([60]), NOON + HOUR_MS))).toBe('key_expired');
  });

  it('never lets holds and bills together pass a budget, whatever is asked for in whatever order', () => {
    const id = fc.constantFrom('a', 'b', 'c');
    const action = fc.oneof(
      fc.record({ do: fc.constant('admit' as const), id, numChoices: fc.integer({ min: 1, max: 3 }) }),
      fc.record({ do: fc.constant('renew' as const), id, delivered: fc.nat({ max: 400 }) }),
      fc.record({ do: fc.constant('raise' as const), id, delivered: fc.nat({ max: 400 }) }),
      fc.record({ do: fc.constant('start' as const), id, promptTokens: fc.nat({ max: 10 }) }),
      fc.record({ do: fc.constant('settle' as const), id }),
    );
    fc.assert(
      fc.property(
        fc.array(action, { maxLength: 40 }),
        fc.integer({ min: 1, max: 2_000 }),
        (steps, budget) => {
          const sql = newNodeLedger({ budget_tokens: budget });
          for (const step of steps) {
            const row = findRow(sql, step.id);
            if (step.do === 'admit') admitTo(sql, step.id, { ...LONG, numChoices: step.numChoices });
            else if (row?.state !== 'open') continue;
            else if (step.do === 'start')
              startRequest(sql, row, { promptTokens: step.promptTokens, cachedTokens: 0 });
            else if (step.do === 'settle')
              settleRequest(
                sql,
                step.id,
                { ...bill(row.end_token * row.num_choices, row.attempt), promptTokens: row.prompt_tokens },
                NOON,
              );
            else {
              const delivered = Array<number>(row.num_choices).fill(Math.min(step.delivered, row.end_token));
              const progress = progressOf(delivered, { attempt: row.attempt });
              if (step.do === 'raise') raiseRequest(sql, step.id, progress, OTHER, NOON);
              else renewRequest(sql, step.id, progress, NOON);
            }
            const { spent_tokens: spent, held_tokens: held } = budgetState(sql, findKey(sql)!.settings, NOON);
            expect(spent + held).toBeLessThanOrEqual(budget);
          }
        },
      ),
      { numRuns: 40 },
    );
  });
});

describe('an attempt', () => {
  it('is raised by one, begins at what was delivered, and ends the word of the one before', () => {
    const sql = started();
    expect(raiseRequest(sql, 'a', progressOf([40]), OTHER, NOON)).toEqual({ attempt: 1, endToken: 140 });
    expect(findRow(sql, 'a')).toMatchObject({ backend: OTHER, completion_tokens: 40, started_attempt: 0 });
    expect(codeOf(renewRequest(sql, 'a', progressOf([90]), NOON))).toBe('attempt_superseded');
    expect(codeOf(raiseRequest(sql, 'a', progressOf([90]), OTHER, NOON))).toBe('attempt_superseded');
    expect(settleRequest(sql, 'a', bill(90), NOON)).toBeUndefined();
    expect(findRow(sql, 'a')).toMatchObject({ state: 'open', completion_tokens: 40, attempt: 1 });
    settleRequest(sql, 'a', bill(60, 1), NOON);
    expect(findRow(sql, 'a')).toMatchObject({ state: 'settled', completion_tokens: 60 });
  });

  it('is raised for one of many who ask at once', () => {
    const sql = started();
    const answers = Array.from({ length: 10 }, () => raiseRequest(sql, 'a', progressOf([40]), OTHER, NOON));
    expect(answers.filter((answer) => !(answer instanceof TidarError))).toHaveLength(1);
  });

  it('of a request that has its bill is raised no more', () => {
    const sql = started();
    settleRequest(sql, 'a', bill(7), NOON);
    expect(codeOf(raiseRequest(sql, 'a', progressOf([40]), OTHER, NOON))).toBe('conflict');
    expect(codeOf(raiseRequest(sql, 'b', progressOf([40]), OTHER, NOON))).toBe('conflict');
  });
});

describe('a connection that took an answer over', () => {
  it('is the only one whose word counts', () => {
    const sql = started();
    expect(attachReader(sql, 'a')).toMatchObject({
      reader: 1,
      attempt: 0,
      state: 'open',
      backend: 'http://one',
    });
    expect(codeOf(renewRequest(sql, 'a', progressOf([90]), NOON))).toBe('stream_taken_over');
    expect(renewRequest(sql, 'a', progressOf([90], { reader: 1 }), NOON)).toMatchObject({ endToken: 190 });
    expect(settleRequest(sql, 'a', bill(5, 0, 0), NOON)).toBeUndefined();
    expect(settleRequest(sql, 'a', bill(95, 0, 1), NOON)).toBeDefined();
  });

  it('is one of many who want it at once', () => {
    const sql = started();
    const answers = Array.from({ length: 10 }, () => attachReader(sql, 'a', 0));
    expect(answers.filter((answer) => !(answer instanceof TidarError))).toHaveLength(1);
  });
});
