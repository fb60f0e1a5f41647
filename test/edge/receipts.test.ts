import { hashTokenIds } from '@tidar/shared/lease.ts';
import { receiptKeysSchema, type SignedReceipt, verifyReceipt } from '@tidar/shared/receipt.ts';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RequestRecord, UsageReport } from '../../edge/src/ledger/types.ts';
import { AdminClient } from '../support/admin-client.ts';
import { type EdgeHarness, startEdgeHarness } from '../support/edge-harness.ts';
import { RawClient, readChunks } from '../support/openai-http.ts';
import { SCRIPTED_MODEL, type ScriptedBackend, startScriptedBackend } from '../support/scripted-backend.ts';

const body = { model: SCRIPTED_MODEL.id, messages: [{ role: 'user', content: 'Hi' }], seed: 7, n: 2 };
const TODAY = new Date().toISOString().slice(0, 10);

let backend: ScriptedBackend;
let edge: EdgeHarness;
let client: RawClient;
beforeAll(async () => {
  backend = await startScriptedBackend();
  const prices = { [SCRIPTED_MODEL.id]: { prompt: 10, cached: 1, completion: 100 } };
  edge = await startEdgeHarness({
    FAILOVER_MS: '1000',
    LEAVE_GRACE_MS: '500',
    BACKENDS: JSON.stringify([{ url: backend.url }]),
    PRICES: JSON.stringify(prices),
  });
  client = new RawClient(edge.url, await edge.createKey());
});
afterAll(async () => {
  await edge.close();
  await backend.close();
});

const get = async <Body>(path: string, key = client.key): Promise<{ status: number; body: Body }> => {
  const response = await fetch(edge.url + path, { headers: { authorization: `Bearer ${key}` } });
  return { status: response.status, body: (await response.json()) as Body };
};
interface RequestAnswer {
  request: RequestRecord;
  receipt: SignedReceipt | null;
}

/** Asks for two choices; the id of the request. */
async function ask(changes: object = {}): Promise<string> {
  backend.play(async (stage) => {
    await stage.start();
    await stage.step([4, 5], 'ab');
    await stage.step([6], 'c', { choice: 1 });
    await stage.step([7], 'd');
    await stage.end(4);
  });
  const response = await client.post({ ...body, ...changes });
  await response.text();
  return response.headers.get('x-request-id') ?? '';
}

describe('a receipt', () => {
  it('states the bill, the seed, the fingerprint and the hash of the tokens, provably', async () => {
    const id = await ask();
    const { body: answer } = await get<RequestAnswer>(`/v1/usage/requests/${id}`);
    expect(answer.receipt?.receipt).toMatchObject({
      request_id: id,
      model: SCRIPTED_MODEL.id,
      fingerprint: SCRIPTED_MODEL.fingerprint,
      seed: '7',
      finish_reason: 'stop',
      prompt_tokens: 3,
      cached_tokens: 1,
      completion_tokens: 4,
      cost_nanos: 2 * 10 + 1 + 4 * 100,
      estimated: false,
      tokens_hash: await hashTokenIds([[4, 5, 7], [6]]),
    });
    const published = await fetch(`${edge.url}/v1/receipt-keys`);
    const { keys } = receiptKeysSchema.parse(await published.json());
    expect(await verifyReceipt(answer.receipt!, keys)).toBe(true);
  });

  it('is there for streamed answers too, and for what broke off, by the journal', async () => {
    const streamed = await ask({ stream: true });
    expect(
      (await get<RequestAnswer>(`/v1/usage/requests/${streamed}`)).body.receipt?.receipt.tokens_hash,
    ).toBe(await hashTokenIds([[4, 5, 7], [6]]));
    backend.play(async (stage) => {
      await stage.start();
      await stage.step([9], 'x');
      await new Promise((resolve) => setTimeout(resolve, 200));
      stage.die();
      backend.play((next) => next.refuse('overloaded', 'Busy.'));
    });
    const response = await client.post({ ...body, stream: true });
    await readChunks(response);
    await client.lastRequest(({ state }) => state === 'settled');
    const id = response.headers.get('x-request-id') ?? '';
    const { receipt } = (await get<RequestAnswer>(`/v1/usage/requests/${id}`)).body;
    expect(receipt?.receipt).toMatchObject({
      completion_tokens: 1,
      estimated: false,
      finish_reason: 'error',
    });
    expect(receipt?.receipt.tokens_hash).toBe(await hashTokenIds([[9], []]));
  });

  it('is not there before the bill is', async () => {
    const { promise: gate, resolve: open } = Promise.withResolvers<void>();
    backend.play(async (stage) => {
      await stage.start();
      await gate;
      await stage.end(0);
    });
    const running = client.post(body);
    const { id } = await client.lastRequest(({ state }) => state === 'open');
    expect((await get<RequestAnswer>(`/v1/usage/requests/${id}`)).body).toMatchObject({
      request: { state: 'open' },
      receipt: null,
    });
    open();
    await (await running).text();
  });

  it("is shown to nobody but the request's own key", async () => {
    const id = await ask();
    const other = await edge.createKey();
    expect(await get(`/v1/usage/requests/${id}`, other)).toMatchObject({ status: 404 });
    expect(await get('/v1/usage/requests/req_made_up')).toMatchObject({ status: 404 });
    expect(await get(`/v1/usage/requests/${id}`, 'x')).toMatchObject({ status: 401 });
  });
});

describe('usage', () => {
  it('is told by day and model, and of other days and models nothing', async () => {
    await ask();
    const { body: all } = await get<UsageReport>('/v1/usage');
    expect(all.days).toMatchObject([{ day: TODAY, model: SCRIPTED_MODEL.id }]);
    for (const filter of [`from=${TODAY}&to=${TODAY}`, `model=${SCRIPTED_MODEL.id}`]) {
      expect((await get<UsageReport>(`/v1/usage?${filter}`)).body).toEqual(all);
    }
    for (const filter of ['to=2020-01-01', 'from=2999-01-01', 'model=other']) {
      const { body: none } = await get<UsageReport>(`/v1/usage?${filter}`);
      expect(none).toMatchObject({ total: { num_requests: 0, cost_nanos: 0 }, days: [], requests: [] });
    }
    expect((await get('/v1/usage?from=yesterday')).status).toBe(400);
  });

  it('is told to the admin by key, the same as the ledger tells it', async () => {
    const { key, days } = (await get<UsageReport>('/v1/usage')).body;
    const admin = new AdminClient(edge.url);
    await expect
      .poll(async () => (await admin.get<{ data: object[] }>(`/usage?key=${key.id}`)).body.data, {
        timeout: 20_000,
      })
      .toEqual(days.map((usage) => ({ key_id: key.id, ...usage })));
    expect((await admin.get<{ data: object[] }>('/usage?model=other')).body.data).toEqual([]);
  });
});
