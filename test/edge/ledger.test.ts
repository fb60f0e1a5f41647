import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { withDefaults } from '../../edge/src/ledger/settings.ts';
import type { Progress, Settlement, TokenCounts, UsageReport } from '../../edge/src/ledger/types.ts';
import {
  type EdgeHarness,
  type RemoteLedger,
  startEdgeHarness,
  TEST_TERMS,
} from '../support/edge-harness.ts';

const SECRET_HASH = 'a'.repeat(64);
const LONG_MS = 600_000;
const PRICE = { prompt: 10, cached: 1, completion: 100 };

let edge: EdgeHarness;
let numKeys = 0;
beforeAll(async () => {
  edge = await startEdgeHarness();
});
afterAll(() => edge.close());

/** The ledger of a key of its own, in a real workerd. */
async function newLedger(requestsPerMinute = 100_000): Promise<RemoteLedger> {
  const keyId = `key${(numKeys += 1)}`;
  const ledger = await edge.ledger(keyId);
  const settings = withDefaults({ requests_per_minute: requestsPerMinute });
  await ledger.create({ keyId, secretHash: SECRET_HASH, settings }, 'test');
  return ledger;
}

const admit = (ledger: RemoteLedger, requestId: string, graceMs = LONG_MS, secretHash = SECRET_HASH) =>
  ledger.admit({
    requestId,
    secretHash,
    model: 'demo',
    fingerprint: 'fp',
    seed: '1',
    price: PRICE,
    hold: { tokens: 100, nanos: 100 },
    terms: { ...TEST_TERMS, maxTokens: 20 },
    graceMs,
  });

async function usageOf(ledger: RemoteLedger): Promise<UsageReport> {
  const report = await ledger.usage(SECRET_HASH, 100);
  if ('error' in report) throw new Error(report.error.message);
  return JSON.parse(JSON.stringify(report)) as UsageReport;
}

const counts = (completionTokens: number): TokenCounts => ({
  promptTokens: 10,
  cachedTokens: 4,
  completionTokens,
  numForwardPasses: Math.ceil(completionTokens / 4),
});
const progress = (numTokens: number, graceMs = LONG_MS): Progress => ({
  attempt: 0,
  reader: 0,
  delivered: [numTokens],
  numForwardPasses: Math.ceil(numTokens / 4),
  graceMs,
});
const PROMPT = { promptTokens: 10, cachedTokens: 4 };
const bill = (completionTokens: number, estimated = false): Settlement => ({
  ...counts(completionTokens),
  attempt: 0,
  finishReason: estimated ? 'cancelled' : 'stop',
  estimated,
  tokensHash: null,
});

describe('admission', () => {
  it('lets through the limit of many that come at once, and what flows in meanwhile', async () => {
    const ledger = await newLedger(20);
    const startedAtMs = performance.now();
    const answers = await Promise.all(
      Array.from({ length: 200 }, (_, index) => admit(ledger, `req_${index}`)),
    );
    const numFlowedIn = Math.ceil(((performance.now() - startedAtMs) * 20) / 60_000);
    const numAdmitted = answers.filter(({ admitted }) => admitted).length;
    expect(numAdmitted).toBeGreaterThanOrEqual(20);
    expect(numAdmitted).toBeLessThanOrEqual(20 + numFlowedIn);
    expect((await usageOf(ledger)).requests).toHaveLength(numAdmitted);
  });

  it('counts down what remains, then says when to try again', async () => {
    const ledger = await newLedger(2);
    expect(await admit(ledger, 'a')).toMatchObject({
      admitted: true,
      rateLimits: { requests: { limit: 2, remaining: 1 } },
    });
    expect(await admit(ledger, 'b')).toMatchObject({
      admitted: true,
      rateLimits: { requests: { limit: 2, remaining: 0 } },
    });
    const refused = JSON.parse(JSON.stringify(await admit(ledger, 'c'))) as {
      error: { retry_after_ms: number };
    };
    expect(refused).toMatchObject({
      admitted: false,
      error: { code: 'rate_limit_exceeded', retryable: true },
    });
    expect(refused.error.retry_after_ms).toBeGreaterThan(25_000);
    expect(refused.error.retry_after_ms).toBeLessThanOrEqual(30_000);
  });

  it('takes one place for a request that is admitted twice, and finds it again when the limit is used up', async () => {
    const ledger = await newLedger(1);
    for (let round = 0; round < 3; round += 1)
      expect(await admit(ledger, 'same')).toMatchObject({ admitted: true });
    expect(await admit(ledger, 'other')).toMatchObject({ admitted: false });
  });

  it('refuses another secret, and a ledger without a key', async () => {
    const ledger = await newLedger();
    const wrong = await admit(ledger, 'a', LONG_MS, 'b'.repeat(64));
    expect(wrong).toMatchObject({ admitted: false, error: { code: 'invalid_api_key' } });
    expect(await admit(await edge.ledger('nobody'), 'a')).toMatchObject({ admitted: false });
    const refused = { error: { code: 'invalid_api_key' } };
    expect(await ledger.verify('b'.repeat(64))).toMatchObject(refused);
    expect(await ledger.usage('b'.repeat(64), 1)).toMatchObject(refused);
  });
});

describe('settlement', () => {
  it('bills a request once, whoever calls and however often at once', async () => {
    const ledger = await newLedger();
    await admit(ledger, 'a');
    await Promise.all(Array.from({ length: 20 }, () => ledger.settle('a', bill(7))));
    expect((await usageOf(ledger)).total).toEqual({
      num_requests: 1,
      prompt_tokens: 10,
      cached_tokens: 4,
      completion_tokens: 7,
      num_forward_passes: 2,
      // 6 tokens at 10, 4 cached ones at 1, 7 at 100.
      cost_nanos: 764,
      rule_loss_tokens: 0,
    });
  });

  it('lets a true count replace an estimate once, and nothing replace a true count', async () => {
    const ledger = await newLedger();
    await admit(ledger, 'a');
    await ledger.settle('a', bill(3, true));
    await ledger.settle('a', bill(9, true));
    expect((await usageOf(ledger)).requests[0]).toMatchObject({ completion_tokens: 3, estimated: true });
    await ledger.settle('a', bill(8));
    await ledger.settle('a', bill(5));
    await ledger.settle('a', bill(50, true));
    const report = await usageOf(ledger);
    expect(report.requests[0]).toMatchObject({
      completion_tokens: 8,
      estimated: false,
      finish_reason: 'stop',
    });
    expect(report.total).toMatchObject({ num_requests: 1, completion_tokens: 8 });
  });

  it('estimates by the highest count that was reported', async () => {
    const ledger = await newLedger();
    await admit(ledger, 'a');
    await ledger.start('a', progress(0), PROMPT);
    await ledger.renew('a', progress(12));
    await ledger.renew('a', progress(8));
    await ledger.settle('a', bill(10, true));
    expect((await usageOf(ledger)).total.completion_tokens).toBe(12);
  });

  it('knows nothing of a request that it did not admit', async () => {
    const ledger = await newLedger();
    expect(await ledger.renew('ghost', progress(5))).toMatchObject({ error: { code: 'conflict' } });
    await ledger.settle('ghost', bill(5));
    expect(await usageOf(ledger)).toMatchObject({ total: { num_requests: 0 }, requests: [] });
  });

  it('has totals that are the sum of its bills, in any order of reports, bills and admissions', async () => {
    const id = fc.constantFrom('r0', 'r1', 'r2');
    const tokens = fc.integer({ min: 0, max: 60 });
    const action = fc.oneof(
      fc.record({ do: fc.constant('admit' as const), id }),
      fc.record({ do: fc.constant('report' as const), id, tokens }),
      fc.record({ do: fc.constant('settle' as const), id, tokens, estimated: fc.boolean() }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(action, { maxLength: 25 }), async (actions) => {
        const ledger = await newLedger();
        const expected = new Map<string, { tokens: number; state: 'open' | 'estimated' | 'final' }>();
        for (const step of actions) {
          const entry = expected.get(step.id);
          if (step.do === 'admit') {
            await admit(ledger, step.id);
            if (entry === undefined) expected.set(step.id, { tokens: 0, state: 'open' });
          } else if (step.do === 'report') {
            await ledger.renew(step.id, progress(step.tokens));
            if (entry?.state === 'open') entry.tokens = Math.max(entry.tokens, step.tokens);
          } else {
            await ledger.settle(step.id, bill(step.tokens, step.estimated));
            if (entry?.state === 'open' && step.estimated) {
              expected.set(step.id, { tokens: Math.max(entry.tokens, step.tokens), state: 'estimated' });
            } else if (entry !== undefined && entry.state !== 'final' && !step.estimated) {
              expected.set(step.id, { tokens: step.tokens, state: 'final' });
            }
          }
        }
        const settled = [...expected.values()].filter(({ state }) => state !== 'open');
        const { total, requests } = await usageOf(ledger);
        expect(total.num_requests).toBe(settled.length);
        expect(total.completion_tokens).toBe(settled.reduce((sum, entry) => sum + entry.tokens, 0));
        for (const request of requests) {
          const entry = expected.get(request.id);
          expect(request).toMatchObject({
            completion_tokens: entry?.tokens,
            state: entry?.state === 'open' ? 'open' : 'settled',
          });
        }
        expect(requests).toHaveLength(expected.size);
      }),
      { numRuns: 15 },
    );
  });

  it('refuses counts that are no counts', async () => {
    const ledger = await newLedger();
    await admit(ledger, 'a');
    for (const completionTokens of [-1, 0.5, Number.NaN]) {
      await expect(ledger.settle('a', { ...bill(0), completionTokens })).rejects.toThrow();
    }
    expect((await usageOf(ledger)).requests[0]).toMatchObject({ state: 'open' });
  });
});

describe('hold', () => {
  it('stands while a request is open, shrinks when its prompt is counted, and goes with its bill', async () => {
    const ledger = await newLedger();
    const held = async (): Promise<number> => (await usageOf(ledger)).held_tokens;
    await admit(ledger, 'a');
    await admit(ledger, 'b');
    expect(await held()).toBe(200);
    await ledger.start('a', progress(0), { promptTokens: 10, cachedTokens: 0 });
    await ledger.start('a', progress(0), { promptTokens: 99, cachedTokens: 0 });
    // Of a choice of 20 tokens at most, with a prompt of 10.
    expect(await held()).toBe(130);
    await ledger.settle('a', bill(7));
    await ledger.settle('b', bill(7, true));
    expect(await held()).toBe(0);
  });
});
