import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type EdgeHarness, startEdgeHarness } from '../support/edge-harness.ts';
import { RawClient } from '../support/openai-http.ts';
import { SCRIPTED_MODEL, type ScriptedBackend, startScriptedBackend } from '../support/scripted-backend.ts';

let backend: ScriptedBackend;
let edge: EdgeHarness;
let client: RawClient;
beforeAll(async () => {
  backend = await startScriptedBackend();
  edge = await startEdgeHarness({ BACKENDS: JSON.stringify([{ url: backend.url }]) });
});
afterAll(async () => {
  await edge.close();
  await backend.close();
});
beforeEach(async () => {
  client = new RawClient(edge.url, await edge.createKey());
});

const messages = [{ role: 'user', content: 'Hi' }];
const streaming = { model: SCRIPTED_MODEL.id, messages, stream: true };
const settled = ({ state }: { state: string }): boolean => state === 'settled';

describe('a backend that refuses', () => {
  it.each([
    ['overloaded', 503, 'overloaded'],
    ['shutting_down', 503, 'shutting_down'],
    ['context_length_exceeded', 400, 'context_length_exceeded'],
    ['lease_invalid', 500, 'internal'],
    ['duplicate_attempt', 500, 'internal'],
  ] as const)('with %s gives its client %i %s', async (code, status, told) => {
    backend.play((stage) => stage.refuse(code, 'The reason.'));
    const response = await client.post(streaming);
    expect(response.status).toBe(status);
    const answer = await response.text();
    expect(JSON.parse(answer)).toMatchObject({ error: { code: told } });
    expect(answer).not.toContain('hidden');
    expect(await client.lastRequest(settled)).toMatchObject({ completion_tokens: 0, estimated: false });
  });
});

describe('a backend that is overloaded', () => {
  it.each([
    [0, '1'],
    [2000, '2'],
    [2001, '3'],
    [undefined, '1'],
  ])('for %d ms more has its client told %s s, rounded up', async (retryAfterMs, header) => {
    const options = retryAfterMs === undefined ? {} : { retryAfterMs };
    backend.play((stage) => stage.refuse('overloaded', 'The queue is full.', options));
    const response = await client.post(streaming);
    expect(response.status).toBe(503);
    expect(response.headers.get('retry-after')).toBe(header);
    expect(await response.json()).toEqual({
      error: { message: 'The queue is full.', type: 'server_error', param: null, code: 'overloaded' },
    });
  });

  it('says so in its first event as well as by its status', async () => {
    const error = { code: 'overloaded', message: 'Busy.', retryable: true, retry_after_ms: 4100 };
    backend.play((stage) => stage.raw(`data: ${JSON.stringify({ type: 'error', error })}\n\n`));
    const response = await client.post(streaming);
    expect(response.status).toBe(503);
    expect(response.headers.get('retry-after')).toBe('5');
    expect(await client.lastRequest(settled)).toMatchObject({ completion_tokens: 0, estimated: false });
  });
});

describe('a parameter that the backend refuses', () => {
  it.each([
    ['grammar', { response_format: { type: 'json_object' } }, 'response_format'],
    ['response_format', { tidar: { regex: '(' } }, 'tidar.regex'],
    ['grammar', { tidar: { grammar: 'x' } }, 'tidar.grammar'],
    ['sampling.min_tokens', { tidar: { min_tokens: 60 } }, 'tidar.min_tokens'],
    ['stop_token_ids', { tidar: { stop_token_ids: [9] } }, 'tidar.stop_token_ids'],
    ['max_tokens', { max_completion_tokens: 5 }, 'max_completion_tokens'],
    ['logit_bias', { logit_bias: { 5: 1 } }, 'logit_bias'],
    ['prompt', {}, 'messages'],
  ])('as %s is named as its client gave it: %j', async (param, change, named) => {
    backend.play((stage) => stage.refuse('invalid_request', 'It is wrong.', { param }));
    const response = await client.post({ model: SCRIPTED_MODEL.id, messages, ...change });
    expect(response.status).toBe(400);
    expect(await response.json()).toEqual({
      error: {
        message: 'It is wrong.',
        type: 'invalid_request_error',
        param: named,
        code: 'invalid_request',
      },
    });
  });
});

describe('a parameter that the backend finds at fault in the middle of an answer', () => {
  it.each([
    [{ response_format: { type: 'json_object' } }, 'response_format'],
    [{ tidar: { regex: 'a*' }, stream: true }, 'tidar.regex'],
  ])('is named as its client gave it: %j', async (change, named) => {
    backend.play(async (stage) => {
      await stage.start();
      await stage.step([4], 'a');
      const error = {
        code: 'invalid_request',
        message: 'No token can follow.',
        retryable: false,
        param: 'grammar',
      };
      await stage.raw(`data: ${JSON.stringify({ type: 'error', error })}\n\n`);
    });
    const response = await client.post({ model: SCRIPTED_MODEL.id, messages, ...change });
    expect(await response.text()).toContain(`"param":"${named}"`);
  });
});
