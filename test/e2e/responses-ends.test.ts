import type OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { OPEN_QUESTION } from '../support/open-question.ts';
import type { RequestRecord } from '../../edge/src/ledger/types.ts';
import { type RawClient } from '../support/openai-http.ts';
import { SmallSystem } from '../support/small-system.ts';

const ask = { model: 'demo', input: OPEN_QUESTION, temperature: 0 };

let system: SmallSystem;
let client: OpenAI;
let raw: RawClient;
beforeAll(async () => {
  system = await SmallSystem.start();
  client = system.openai();
  raw = system.rawClient();
});
afterAll(() => system.stop());

const send = async (method: string, path: string): Promise<{ status: number; body: unknown }> => {
  const headers = { authorization: `Bearer ${system.key}` };
  const response = await fetch(`${system.edge.url}/v1/responses/${path}`, { method, headers });
  return { status: response.status, body: await response.json() };
};
const recordOf = async (id: string): Promise<RequestRecord> => {
  const { requests } = await raw.usage();
  return requests.find((request) => request.id === id.replace('resp_', 'req_'))!;
};

describe('a response that is cancelled', () => {
  it('ends at once with a bill of at least what was sent, and its reader is told', async () => {
    const long = {
      ...ask,
      max_output_tokens: 900,
      stream: true as const,
      tidar: { ignore_eos: true, decoder: 'ar' },
    };
    const stream = await client.responses.create(long);
    let id = '';
    let text = '';
    let cancelled: OpenAI.Responses.Response | undefined;
    const read = async (): Promise<void> => {
      for await (const event of stream) {
        if (event.type === 'response.created') id = event.response.id;
        if (event.type === 'response.output_text.delta') text += event.delta;
        if (text !== '') cancelled ??= await client.responses.cancel(id);
      }
    };
    await expect(read()).rejects.toThrow(/took this (answer|stream) over/);
    expect(cancelled).toMatchObject({ id, status: 'cancelled', output: [], max_output_tokens: 900 });
    const record = await recordOf(id);
    expect(record).toMatchObject({ state: 'settled', finish_reason: 'cancelled', estimated: false });
    expect(record.completion_tokens).toBeGreaterThan(0);
    expect(record.completion_tokens).toBeLessThan(900);
    expect(record.tokens_hash).toMatch(/^[0-9a-f]{64}$/);
    expect(await send('POST', `${id}/cancel`)).toMatchObject({
      status: 409,
      body: { error: { code: 'conflict' } },
    });
  });

  it('must be one, be the key’s own, and not have ended', async () => {
    const { id } = await client.responses.create({ ...ask, max_output_tokens: 4 });
    expect((await send('POST', `${id}/cancel`)).status).toBe(409);
    expect((await send('POST', 'resp_0/cancel')).status).toBe(404);
    const messages = [{ role: 'user', content: 'Hi' }];
    const chat = await raw.complete({ model: 'demo', messages, max_tokens: 2 });
    expect(await send('POST', `${chat.id}/cancel`)).toMatchObject({
      status: 400,
      body: { error: { message: expect.stringContaining('Only a response') } },
    });
  });
});

describe('an answer that is deleted', () => {
  it('can be read, gone on with and had again no more, and its bill stays', async () => {
    const headers = { 'Idempotency-Key': 'deleted-1' };
    const body = { ...ask, max_output_tokens: 4 };
    const { id } = await client.responses.create(body, { headers });
    expect((await send('GET', id)).status).toBe(200);
    expect(await send('DELETE', id)).toEqual({
      status: 200,
      body: { id, object: 'response', deleted: true },
    });
    await client.responses.delete(id);
    expect(await send('GET', id)).toMatchObject({ status: 404, body: { error: { code: 'not_found' } } });
    const next = client.responses.create({ ...body, previous_response_id: id });
    await expect(next).rejects.toMatchObject({ status: 404, param: 'previous_response_id' });
    const again = client.responses.create(body, { headers });
    await expect(again).rejects.toMatchObject({ status: 409, code: 'idempotency_broken' });
    expect(await recordOf(id)).toMatchObject({ state: 'settled', completion_tokens: 4 });
  });

  it('may be of any route, but not another key’s', async () => {
    const completion = await client.completions.create({ model: 'demo', prompt: 'The river', max_tokens: 2 });
    const other = await system.edge.createKey();
    const headers = { authorization: `Bearer ${other}` };
    const foreign = await fetch(`${system.edge.url}/v1/responses/${completion.id}`, {
      method: 'DELETE',
      headers,
    });
    expect(foreign.status).toBe(404);
    expect((await send('GET', completion.id)).status).toBe(200);
    expect((await send('DELETE', completion.id)).status).toBe(200);
    expect((await send('GET', completion.id)).status).toBe(404);
  });
});
