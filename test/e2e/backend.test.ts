import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { LeasePayload } from '@tidar/shared/lease.ts';
import type { ErrorObject } from '@tidar/shared/errors.ts';
import type { GenerateRequestInput } from '@tidar/shared/protocol.ts';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  BackendProcess,
  closingEvents,
  finishesOf,
  readEvents,
  tokenIdsOf,
} from '../support/backend-process.ts';
import { exchange, headOf } from '../fuzz/raw-http.ts';

const MODEL = fileURLToPath(new URL('../fixtures/llama-tidar', import.meta.url));
const { prompt, greedy } = JSON.parse(readFileSync(`${MODEL}/expected.json`, 'utf8')) as {
  prompt: number[];
  greedy: number[];
};
const TIDAR = { type: 'tidar', draft_length: 4 } as const;

let numRequests = 0;

/** A request for the golden text, with what a test changes in it; an undefined field is left out. */
function requestBody(changes: Partial<Record<keyof GenerateRequestInput, unknown>> = {}): string {
  numRequests += 1;
  return JSON.stringify({
    request_id: `request-${numRequests}`,
    model: 'llama-tidar',
    input: { type: 'tokens', token_ids: prompt },
    max_tokens: greedy.length,
    sampling: { temperature: 0, seed: '7' },
    decoder: TIDAR,
    ...changes,
  });
}

async function refusal(response: Response): Promise<ErrorObject & { status: number }> {
  const { error } = (await response.json()) as { error: ErrorObject };
  return { status: response.status, ...error };
}

let backend: BackendProcess;
beforeAll(async () => {
  backend = await BackendProcess.start({ modelPath: MODEL, args: ['--slice-wait-ms', '300'] });
}, 90_000);
afterAll(() => backend.stop());

describe('a generation over SSE', () => {
  it.each([
    { type: 'ar' },
    TIDAR,
    ...[4, 7].map((length) => ({ type: 'tidar', plan: 'dense', draft_length: length })),
  ])('is the golden text with %j', async (decoder) => {
    const response = await backend.post(requestBody({ decoder }));
    expect(response.headers.get('content-type')).toBe('text/event-stream; charset=utf-8');
    const events = await readEvents(response);
    expect(tokenIdsOf(events)).toEqual(greedy);
    expect(events[0]).toMatchObject({
      type: 'start',
      num_prompt_tokens: prompt.length,
      prompt_token_ids: prompt,
      seed: '7',
      fingerprint: backend.model.fingerprint,
    });
    expect(finishesOf(events)).toEqual([[0, 'length']]);
    expect(events.at(-1)).toMatchObject({
      type: 'end',
      usage: { prompt_tokens: prompt.length, completion_tokens: greedy.length },
    });
  });

  it('starts once, ends once, and counts its forward passes', async () => {
    const body = requestBody({ trace: 'stats', decoder: { ...TIDAR, plan: 'dense' } });
    const events = await readEvents(await backend.post(body));
    expect(events.filter(({ type }) => type === 'start')).toHaveLength(1);
    expect(closingEvents(events)).toEqual([events.at(-1)]);
    const steps = events.filter((event) => event.type === 'step');
    expect(events.at(-1)).toMatchObject({ usage: { num_forward_passes: steps.length } });
    expect(steps.every(({ stats }) => stats !== undefined && stats.rows >= 1)).toBe(true);
    expect(steps.length).toBeLessThan(greedy.length);
  });

  it('numbers its events by the completion tokens after them', async () => {
    const text = await (await backend.post(requestBody())).text();
    const ids = [...text.matchAll(/^id: (\d+)$/gm)].map(([, id]) => Number(id));
    expect(ids[0]).toBe(0);
    expect(ids.at(-1)).toBe(greedy.length);
    expect(ids).toEqual(ids.toSorted((a, b) => a - b));
  });

  it('is the same for streams that take turns', async () => {
    const decoders = [{ type: 'ar' }, TIDAR, { type: 'tidar', draft_length: 2 }, { type: 'ar' }];
    const all = await Promise.all(
      decoders.map(async (decoder) => readEvents(await backend.post(requestBody({ decoder })))),
    );
    for (const events of all) {
      expect(tokenIdsOf(events)).toEqual(greedy);
      expect(closingEvents(events)).toHaveLength(1);
    }
  });

  it('ends at a stop token, which counts', async () => {
    const stop = greedy[9]!;
    const events = await readEvents(await backend.post(requestBody({ stop_token_ids: [stop] })));
    expect(tokenIdsOf(events)).toEqual(greedy.slice(0, greedy.indexOf(stop) + 1));
    expect(finishesOf(events)).toEqual([[0, 'stop']]);
  });

  it('fills the context where max_tokens is absent', async () => {
    const events = await readEvents(
      await backend.post(requestBody({ max_tokens: undefined, decoder: { type: 'ar' } })),
    );
    const tokenIds = tokenIdsOf(events);
    expect(tokenIds.slice(0, greedy.length)).toEqual(greedy);
    const isFull = prompt.length + tokenIds.length === backend.model.context_length;
    expect(finishesOf(events)).toEqual([[0, isFull ? 'length' : 'stop']]);
  });

  it.each([1, 10, 31])('goes on after %i tokens as if unbroken', async (numResumed) => {
    const token_ids = greedy.slice(0, numResumed);
    const body = requestBody({ resume: { prompt_token_ids: prompt, token_ids: [token_ids] } });
    const events = await readEvents(await backend.post(body));
    expect(tokenIdsOf(events)).toEqual(greedy.slice(numResumed));
    expect(events.at(-1)).toMatchObject({ usage: { completion_tokens: greedy.length } });
  });

  it('never goes past the end of its lease, and says that nobody renewed it', async () => {
    const body = requestBody();
    const events = await readEvents(await backend.post(body, await backend.lease(body, { end_token: 5 })));
    expect(tokenIdsOf(events)).toEqual(greedy.slice(0, 5));
    expect(closingEvents(events)).toEqual([events.at(-1)]);
    expect(events.at(-1)).toMatchObject({ type: 'error', error: { code: 'lease_expired', retryable: true } });
  });
});

describe('a lease', () => {
  const refused = { status: 401, code: 'lease_invalid', retryable: false };

  it('is needed', async () => {
    const response = await fetch(`${backend.url}/v1/generate`, { method: 'POST', body: requestBody() });
    expect(await refusal(response)).toMatchObject(refused);
  });

  it('is refused when another secret signed it', async () => {
    const body = requestBody();
    const lease = await backend.lease(body, {}, 'another-secret-of-32-characters-or-more');
    expect(await refusal(await backend.post(body, lease))).toMatchObject(refused);
  });

  it('is refused when a single character of it was changed', async () => {
    const body = requestBody();
    const lease = await backend.lease(body);
    for (const at of [4, Math.floor(lease.length / 2), lease.length - 5]) {
      const forged = lease.slice(0, at) + (lease[at] === 'A' ? 'B' : 'A') + lease.slice(at + 1);
      expect(await refusal(await backend.post(body, forged))).toMatchObject(refused);
    }
  });

  it.each<[string, Partial<LeasePayload>]>([
    ['another request', { request_id: 'another' }],
    ['another body', { request_hash: '0'.repeat(64) }],
    ['another fingerprint', { fingerprint: 'fp_another' }],
    ['another instance', { backend: 'http://127.0.0.1:1' }],
    ['another first token', { first_tokens: [3] }],
    ['more choices', { choices: 2, first_tokens: [0, 0] }],
    ['resumed tokens that are not there', { resume_hash: '0'.repeat(64) }],
    ['no tokens', { end_token: 0 }],
    ['another purpose', { purpose: 'read' }],
  ])('is refused when it is for %s', async (_, changes) => {
    const body = requestBody();
    expect(await refusal(await backend.post(body, await backend.lease(body, changes)))).toMatchObject(
      refused,
    );
  });

  it('is refused once it has expired', async () => {
    const body = requestBody();
    const lease = await backend.lease(body, { expires_at_ms: Date.now() - 1 });
    expect(await refusal(await backend.post(body, lease))).toMatchObject({
      status: 401,
      code: 'lease_expired',
    });
  });

  it('starts an attempt once; the next attempt is another start', async () => {
    const body = requestBody();
    const lease = await backend.lease(body);
    expect(tokenIdsOf(await readEvents(await backend.post(body, lease)))).toEqual(greedy);
    expect(await refusal(await backend.post(body, lease))).toMatchObject({
      status: 409,
      code: 'duplicate_attempt',
    });
    const next = await backend.lease(body, { attempt: 1 });
    expect(tokenIdsOf(await readEvents(await backend.post(body, next)))).toEqual(greedy);
  });

  it('starts one of two copies that come together', async () => {
    const body = requestBody();
    const lease = await backend.lease(body);
    const responses = await Promise.all([backend.post(body, lease), backend.post(body, lease)]);
    expect(responses.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([200, 409]);
    await Promise.all(responses.map((response) => response.text()));
  });

  it('is read of nobody without a lease, however much he sends', async () => {
    const headers = [
      ['host', 'a'],
      ['content-length', '8000000'],
      ['authorization', 'Bearer x'],
    ] as const;
    const head = headOf({ method: 'POST', target: '/v1/generate', headers });
    const { answers } = await exchange(backend.url, [head, Buffer.alloc(1000)]);
    expect(answers).toMatchObject([{ status: 401 }]);
  });

  it('starts nothing by a request that was refused', async () => {
    const body = requestBody({ max_tokens: 5000 });
    const lease = await backend.lease(body);
    expect(await refusal(await backend.post(body, lease))).toMatchObject({ status: 400 });
    expect(await refusal(await backend.post(body, lease))).toMatchObject({ code: 'context_length_exceeded' });
  });
});

describe('a bad request is refused by a sentence', () => {
  const chat = { type: 'chat', messages: [{ role: 'user', content: 'Hello' }] };
  it.each([
    ['no JSON', '{"request_id": ', 400, 'invalid_json', /not valid JSON/],
    ['an unknown key', requestBody({ ['tempo' as 'stop']: 1 }), 400, 'unknown_parameter', /'tempo'/],
    ['max_tokens 0', requestBody({ max_tokens: 0 }), 400, 'invalid_request', /'max_tokens'.*1 or more/],
    ['another model', requestBody({ model: 'gpt' }), 404, 'model_not_found', /llama-tidar, not gpt/],
    ['a long prompt', requestBody({ max_tokens: 250 }), 400, 'context_length_exceeded', /256.*9.*250/],
    [
      'a strange token',
      requestBody({ input: { type: 'tokens', token_ids: [48] } }),
      400,
      'invalid_request',
      /48/,
    ],
    ['a chat without a tokenizer', requestBody({ input: chat }), 400, 'invalid_request', /no tokenizer/],
    ['a stop string without one', requestBody({ stop: ['x'] }), 400, 'invalid_request', /stop_token_ids/],
    ['no seed', requestBody({ sampling: {} }), 400, 'invalid_request', /'sampling.seed'/],
    [
      'a nested unknown key',
      requestBody({ sampling: { seed: '1', heat: 2 } }),
      400,
      'unknown_parameter',
      /sampling.heat/,
    ],
    [
      'beta without blocks',
      requestBody({ decoder: { type: 'ar', beta: 1 } }),
      400,
      'unknown_parameter',
      /decoder.beta/,
    ],
  ])('%s', async (_, body, status, code, sentence) => {
    const error = await refusal(await backend.post(body));
    expect(error).toMatchObject({ status, code });
    expect(error.message).toMatch(sentence);
  });

  it.each([
    ['GET', '/v1/generate', 405, 'method_not_allowed'],
    ['POST', '/metrics', 405, 'method_not_allowed'],
    ['GET', '/v1/nothing', 404, 'not_found'],
  ])('%s %s', async (method, path, status, code) => {
    expect(await refusal(await fetch(backend.url + path, { method }))).toMatchObject({ status, code });
  });
});

describe('what the backend tells of itself', () => {
  it('is well, and serves its model', async () => {
    const health: unknown = await (await fetch(`${backend.url}/health`)).json();
    expect(health).toEqual({ status: 'ok', models: ['llama-tidar'] });
    expect(backend.model).toMatchObject({
      context_length: 256,
      block_size: 4,
      draft_length: 4,
      has_tokenizer: false,
    });
  });

  it('is never a prompt or a token in its log', () => {
    expect(backend.output).not.toMatch(/token_ids\W*:/);
    expect(backend.output).not.toContain(prompt.join(','));
  });
});
