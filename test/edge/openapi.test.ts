import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { adminBodies, extensionOf, requestSchemas } from '../../edge/src/openapi/document.ts';
import { apiReference, REFERENCE_PATH } from '../../scripts/api-reference.ts';
import { type EdgeHarness, startEdgeHarness } from '../support/edge-harness.ts';
import { DocumentChecker, type OpenApi } from '../support/openapi.ts';
import { RawClient, readChunks, readMessages } from '../support/openai-http.ts';
import { SCRIPTED_MODEL, type ScriptedBackend, startScriptedBackend } from '../support/scripted-backend.ts';

const score = { token: 'a', token_id: 4, bytes: [97], logprob: -1 };

let backend: ScriptedBackend;
let edge: EdgeHarness;
let document: OpenApi;
let checker: DocumentChecker;
let client: RawClient;
beforeAll(async () => {
  backend = await startScriptedBackend();
  backend.play(async (stage) => {
    await stage.start();
    const { logprobs } = stage.seen.request;
    const scored = logprobs === undefined ? {} : { logprobs: [{ ...score, top: [score] }] };
    await stage.step([4], 'a', scored);
    await stage.end(1);
  });
  edge = await startEdgeHarness({ BACKENDS: JSON.stringify([{ url: backend.url }]) });
  client = new RawClient(edge.url, await edge.createKey());
  document = (await (await fetch(`${edge.url}/openapi.json`)).json()) as OpenApi;
  checker = await DocumentChecker.of(document);
});
afterAll(async () => {
  await edge.close();
  await backend.close();
});

const problems = (name: string, value: unknown): unknown => checker.problems(name, value);
const post = (route: string, body: object): Promise<Response> =>
  fetch(`${edge.url}${route}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${client.key}`, 'content-type': 'application/json' },
    body: JSON.stringify({ model: SCRIPTED_MODEL.id, ...body }),
  });

const chat = { messages: [{ role: 'user', content: 'Hi' }] };
const ROUTES = [
  ['/v1/chat/completions', 'ChatCompletion', { ...chat }],
  ['/v1/chat/completions', 'ChatCompletion', { ...chat, logprobs: true, top_logprobs: 1 }],
  ['/v1/completions', 'Completion', { prompt: 'Hi' }],
  ['/v1/completions', 'Completion', { prompt: [1], logprobs: 1, tidar: { trace: 'stats' } }],
  ['/v1/responses', 'Response', { input: 'Hi', include: ['message.output_text.logprobs'] }],
] as const;

describe('the OpenAPI document', () => {
  it('is served to anybody, names every route of its own, and every reference in it is there', () => {
    expect(document.openapi).toBe('3.1.0');
    for (const [name] of Object.entries(document.components.schemas))
      expect(problems(name, null)).not.toEqual([]);
    const references = [...JSON.stringify(document).matchAll(/"\$ref":"#([^"]+)"/g)].map(([, path]) => path!);
    expect(references.length).toBeGreaterThan(10);
    for (const reference of references) {
      const found = reference
        .slice(1)
        .split('/')
        .reduce<unknown>((value, key) => (value as Record<string, unknown>)[key], document);
      expect(found).toBeDefined();
    }
  });

  it.each(ROUTES)('says of %s what %s it takes and gives: %j', async (route, name, body) => {
    expect(problems(`${name}Request`, { model: 'm', ...body })).toEqual([]);
    const response = await post(route, body);
    expect(response.status).toBe(200);
    expect(problems(name, await response.json())).toEqual([]);
    if (name === 'Response') {
      const events = await readMessages(await post(route, { ...body, stream: true }));
      expect(events.length).toBeGreaterThan(8);
      expect(events.flatMap(({ data }) => problems('ResponseEvent', JSON.parse(data)))).toEqual([]);
      return;
    }
    const streamed = { ...body, stream: true, stream_options: { include_usage: true } };
    const { chunks, isDone } = await readChunks(await post(route, streamed));
    expect(isDone).toBe(true);
    expect(chunks.flatMap((chunk) => problems(`${name}Chunk`, chunk))).toEqual([]);
  });

  it.each([
    ['/v1/chat/completions', 'ChatCompletion', { ...chat, temperature: 3 }],
    ['/v1/chat/completions', 'ChatCompletion', { ...chat, heat: 1 }],
    ['/v1/chat/completions', 'ChatCompletion', { ...chat, logit_bias: { a: 1 } }],
    ['/v1/completions', 'Completion', { prompt: ['a', 'b'] }],
    ['/v1/completions', 'Completion', { prompt: 'a', tidar: { plan: 'fast' } }],
    ['/v1/responses', 'Response', { input: [{ role: 'user' }] }],
    ['/v1/responses', 'Response', { input: 'a', tidar: { logit_bias: { a: 1 } } }],
  ])('and its route refuse the same, as an Error: %s %s %j', async (route, name, body) => {
    expect(problems(`${name}Request`, { model: 'm', ...body })).not.toEqual([]);
    const response = await post(route, body);
    expect(response.status).toBe(400);
    expect(problems('Error', await response.json())).toEqual([]);
  });

  it('describes models as they are told, one by its id too', async () => {
    const headers = { authorization: `Bearer ${client.key}` };
    const { data } = (await (await fetch(`${edge.url}/v1/models`, { headers })).json()) as { data: object[] };
    const one = await (await fetch(`${edge.url}/v1/models/${SCRIPTED_MODEL.id}`, { headers })).json();
    expect(data).toEqual([one]);
    expect(problems('Model', one)).toEqual([]);
  });

  it('says of each parameter what it is', () => {
    for (const { properties = {} } of Object.values({ ...requestSchemas(), ...adminBodies() })) {
      for (const parameters of [properties, extensionOf(properties)]) {
        const silent = Object.entries(parameters).filter(([, schema]) => schema.description === undefined);
        expect(silent.map(([name]) => name)).toEqual([]);
      }
    }
  });
});

describe('the reference page', () => {
  it('is what the schemas say now: npm run api-reference writes it', async () => {
    expect(readFileSync(REFERENCE_PATH, 'utf8')).toBe(await apiReference());
  });
});
