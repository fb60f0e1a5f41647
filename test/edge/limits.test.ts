import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type SettingsChange, withDefaults } from '../../edge/src/ledger/settings.ts';
import {
  type EdgeHarness,
  type RemoteLedger,
  startEdgeHarness,
  TEST_TERMS,
} from '../support/edge-harness.ts';
import { RawClient } from '../support/openai-http.ts';
import { SCRIPTED_MODEL, type ScriptedBackend, startScriptedBackend } from '../support/scripted-backend.ts';

const SECRET_HASH = 'a'.repeat(64);
const NUM_REQUESTS = 1_000;
const HOLD = { tokens: 100, nanos: 1_000 };
const PRICE = { prompt: 10, cached: 10, completion: 10 };

let edge: EdgeHarness;
let backend: ScriptedBackend;
let numKeys = 0;
beforeAll(async () => {
  backend = await startScriptedBackend();
  edge = await startEdgeHarness({ BACKENDS: JSON.stringify([{ url: backend.url }]) });
});
afterAll(async () => {
  await edge.close();
  await backend.close();
});

async function newLedger(settings: SettingsChange): Promise<RemoteLedger> {
  const keyId = `limited${(numKeys += 1)}`;
  const ledger = await edge.ledger(keyId);
  const generous = { requests_per_minute: 1_000_000, ...settings };
  await ledger.create({ keyId, secretHash: SECRET_HASH, settings: withDefaults(generous) }, 'test');
  return ledger;
}

/** Asks for many at once; the ids of those that were admitted, and the codes of all refusals. */
async function admitMany(ledger: RemoteLedger, round = 0): Promise<{ ids: string[]; codes: Set<string> }> {
  const ids = Array.from({ length: NUM_REQUESTS }, (_, index) => `req_${round}_${index}`);
  const common = { secretHash: SECRET_HASH, model: 'demo', fingerprint: 'fp', seed: '1', price: PRICE };
  const answers = await Promise.all(
    ids.map((requestId) =>
      ledger.admit({ ...common, requestId, hold: HOLD, terms: TEST_TERMS, graceMs: 600_000 }),
    ),
  );
  const codes = new Set(answers.flatMap((answer) => ('error' in answer ? [answer.error.code] : [])));
  return { ids: ids.filter((_, index) => answers[index]?.admitted), codes };
}

/** What flows into a limit of `perMinute` while something is done, rounded up. */
async function inflowDuring<Value>(perMinute: number, work: () => Promise<Value>): Promise<[Value, number]> {
  const startedAtMs = performance.now();
  const value = await work();
  return [value, Math.ceil(((performance.now() - startedAtMs) * perMinute) / 60_000)];
}

const settleAll = (ledger: RemoteLedger, ids: readonly string[], numTokens: number): Promise<unknown> =>
  Promise.all(
    ids.map((id) => {
      const counts = { promptTokens: 0, cachedTokens: 0, completionTokens: numTokens, numForwardPasses: 1 };
      return ledger.settle(id, {
        ...counts,
        attempt: 0,
        finishReason: 'stop',
        estimated: false,
        tokensHash: null,
      });
    }),
  );

describe('1,000 concurrent requests on one key', () => {
  it('at its requests per minute: so many are answered, one bill each, and all others are told when', async () => {
    const limit = 200;
    const client = new RawClient(edge.url, await edge.createKey({ requests_per_minute: limit }));
    backend.play(async (stage) => {
      await stage.start();
      await stage.step([4], 'a');
      await stage.end(1);
    });
    const body = { model: SCRIPTED_MODEL.id, messages: [{ role: 'user', content: 'Hi' }], max_tokens: 4 };
    const [answers, inflow] = await inflowDuring(limit, () =>
      Promise.all(
        Array.from({ length: NUM_REQUESTS }, async () => {
          const response = await client.post(body);
          await response.text();
          return response;
        }),
      ),
    );
    const admitted = answers.filter(({ status }) => status === 200);
    const refused = answers.filter(({ status }) => status === 429);
    expect(admitted.length + refused.length).toBe(NUM_REQUESTS);
    expect(admitted.length).toBeGreaterThanOrEqual(limit);
    expect(admitted.length).toBeLessThanOrEqual(limit + inflow);
    for (const { headers } of refused) {
      expect(Number(headers.get('retry-after'))).toBeGreaterThan(0);
      expect(headers.get('x-ratelimit-remaining-requests')).toBe('0');
      expect(headers.get('x-should-retry')).toBe('true');
    }
    const { total } = await client.usage();
    expect(total).toMatchObject({ num_requests: admitted.length, completion_tokens: admitted.length });
  });

  it('at its tokens per minute: as many as their holds fit in, then as many as what was not used lets in', async () => {
    const limit = 30_000;
    const ledger = await newLedger({ tokens_per_minute: limit });
    const startedAtMs = performance.now();
    const first = await admitMany(ledger);
    await settleAll(ledger, first.ids, 10);
    const second = await admitMany(ledger, 1);
    const inflow = Math.ceil(((performance.now() - startedAtMs) * limit) / 60_000);
    const used = first.ids.length * 10 + second.ids.length * HOLD.tokens;
    expect(first.ids.length).toBeGreaterThanOrEqual(limit / HOLD.tokens);
    expect(used).toBeLessThanOrEqual(limit + inflow);
    // No more is left than what is too little for one more.
    expect(used).toBeGreaterThan(limit - HOLD.tokens);
    expect(second.codes).toEqual(new Set(['rate_limit_exceeded']));
  });

  it('at its concurrent streams: exactly so many, and as many again once they have ended', async () => {
    const ledger = await newLedger({ concurrent_streams: 37 });
    const first = await admitMany(ledger);
    expect(first.ids).toHaveLength(37);
    await settleAll(ledger, first.ids.slice(0, 5), 1);
    expect((await admitMany(ledger, 1)).ids).toHaveLength(5);
  });

  it.each([
    ['tokens', { budget_tokens: 25_050 }],
    ['money', { budget_nanos: 250_500, budget_refill: 'monthly' }],
  ] as const)('at its budget of %s: exactly as many as it pays for', async (_, settings) => {
    const ledger = await newLedger(settings);
    const first = await admitMany(ledger);
    expect(first.ids).toHaveLength(250);
    expect(first.codes).toEqual(new Set(['insufficient_quota']));
    await settleAll(ledger, first.ids, 10);
    // 2,500 are spent, so 22,550 are left, for 225 more.
    expect((await admitMany(ledger, 1)).ids).toHaveLength(225);
  });
});

describe('the headers of a limit', () => {
  it('tell requests and tokens as OpenAI does, and a hold that is given back at the end', async () => {
    const key = await edge.createKey({ requests_per_minute: 60, tokens_per_minute: 6_000 });
    const client = new RawClient(edge.url, key);
    backend.play(async (stage) => {
      await stage.start();
      await stage.end(0);
    });
    const body = { model: SCRIPTED_MODEL.id, messages: [{ role: 'user', content: 'Hi' }], max_tokens: 20 };
    const { headers } = await client.post(body);
    expect(headers.get('x-ratelimit-limit-requests')).toBe('60');
    expect(headers.get('x-ratelimit-remaining-requests')).toBe('59');
    expect(headers.get('x-ratelimit-reset-requests')).toBe('1s');
    expect(headers.get('x-ratelimit-limit-tokens')).toBe('6000');
    // The context of 64 tokens is all that it can use: 10 ms of a limit of 6,000 each.
    expect(headers.get('x-ratelimit-remaining-tokens')).toBe('5936');
    expect(headers.get('x-ratelimit-reset-tokens')).toBe('640ms');
    await client.lastRequest(({ state }) => state === 'settled');
    const remaining = Number((await client.post(body)).headers.get('x-ratelimit-remaining-tokens'));
    expect(remaining).toBeGreaterThanOrEqual(6_000 - 64 - 3);
  });

  it('say that a request which asks for more than a minute has can never pass', async () => {
    const client = new RawClient(edge.url, await edge.createKey({ tokens_per_minute: 30 }));
    const body = { model: SCRIPTED_MODEL.id, messages: [{ role: 'user', content: 'Hi' }], max_tokens: 20 };
    const response = await client.post(body);
    expect(response.status).toBe(429);
    expect(response.headers.get('x-should-retry')).toBe('false');
    expect(response.headers.get('retry-after')).toBeNull();
  });
});
