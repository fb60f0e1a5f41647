import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { createOpenAI } from '@ai-sdk/openai';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { ChatOpenAI, OpenAI as LangChainCompletions } from '@langchain/openai';
import { ERRORS } from '@tidar/shared/errors.ts';
import { generateText, jsonSchema, Output, streamText } from 'ai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DEMO_MODEL } from '../../gpu-backend/src/cli/open-model.ts';
import { BackendProcess } from '../support/backend-process.ts';
import { type EdgeHarness, startEdgeHarness, TEST_SECRETS } from '../support/edge-harness.ts';
import { RawClient } from '../support/openai-http.ts';

const question = 'What is the capital of France?';
const story = 'The river';
const raw = { model: 'demo', max_tokens: 16, temperature: 0, seed: 7 };
const schema = {
  type: 'object' as const,
  properties: { answer: { type: 'string' as const, enum: ['yes', 'no'] } },
  required: ['answer'],
  additionalProperties: false,
};

let backend: BackendProcess;
let edge: EdgeHarness;
let key: string;
let baseURL: string;
/** What bare HTTP gets for the same questions. */
let expected: { chat: string; completion: string; promptTokens: number; completionTokens: number };
beforeAll(async () => {
  backend = await BackendProcess.start({ modelPath: DEMO_MODEL, leaseSecrets: TEST_SECRETS.LEASE_SECRETS });
  edge = await startEdgeHarness({ BACKENDS: JSON.stringify([{ url: backend.url }]) });
  key = await edge.createKey({ requests_per_minute: 1_000_000 });
  baseURL = `${edge.url}/v1`;
  const chat = await new RawClient(edge.url, key).complete({
    ...raw,
    messages: [{ role: 'user', content: question }],
  });
  const response = await fetch(`${baseURL}/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: JSON.stringify({ ...raw, prompt: story }),
  });
  const completion = (await response.json()) as { choices: { text: string }[] };
  expected = {
    chat: chat.choices[0]!.message.content,
    completion: completion.choices[0]!.text,
    promptTokens: chat.usage.prompt_tokens,
    completionTokens: chat.usage.completion_tokens,
  };
});
afterAll(async () => {
  await edge.close();
  await backend.stop();
});

describe('the AI SDK with its openai-compatible provider', () => {
  const provider = (supportsStructuredOutputs = false) =>
    createOpenAICompatible({
      name: 'tidar',
      baseURL,
      apiKey: key,
      includeUsage: true,
      supportsStructuredOutputs,
    });
  const settings = { maxOutputTokens: 16, temperature: 0, seed: 7, maxRetries: 0 };

  it('gets the text, the usage and the reason of the end', async () => {
    const answer = await generateText({ ...settings, model: provider()('demo'), prompt: question });
    expect(answer.text).toBe(expected.chat);
    expect(['stop', 'length']).toContain(answer.finishReason);
    expect(answer.usage).toMatchObject({
      inputTokens: expected.promptTokens,
      outputTokens: expected.completionTokens,
    });
  });

  it('streams the same text with its usage', async () => {
    const answer = streamText({ ...settings, model: provider()('demo'), prompt: question });
    let text = '';
    for await (const piece of answer.textStream) text += piece;
    expect(text).toBe(expected.chat);
    expect(await answer.usage).toMatchObject({ outputTokens: expected.completionTokens });
  });

  it('gets the text and the usage of completions', async () => {
    const model = provider().completionModel('demo');
    const answer = await model.doGenerate({
      ...settings,
      prompt: [{ role: 'user', content: [{ type: 'text', text: story }] }],
    });
    const text = answer.content.map((part) => (part.type === 'text' ? part.text : '')).join('');
    expect(text.length).toBeGreaterThan(0);
    expect(answer.usage.outputTokens.total).toBeGreaterThan(0);
  });

  it('gets objects of a schema', async () => {
    const { output } = await generateText({
      ...settings,
      maxOutputTokens: 60,
      model: provider(true)('demo'),
      prompt: question,
      output: Output.object({ schema: jsonSchema<{ answer: string }>(schema) }),
    });
    expect(['yes', 'no']).toContain(output.answer);
  });

  it('takes the tidar object as its provider’s own options', async () => {
    const answer = await generateText({
      ...settings,
      model: provider()('demo'),
      prompt: question,
      providerOptions: { tidar: { tidar: { regex: '[ab]{3}' } } },
    });
    expect(answer.text).toMatch(/^[ab]{3}$/);
  });

  it('tells what is refused in the words of the API', async () => {
    const call = generateText({ ...settings, model: provider()('missing'), prompt: question });
    await expect(call).rejects.toMatchObject({
      statusCode: 404,
      message: expect.stringContaining('missing'),
    });
  });
});

describe('the AI SDK with OpenAI’s own provider, which speaks the Responses API', () => {
  const settings = { maxOutputTokens: 16, temperature: 0, maxRetries: 0, prompt: question };
  const model = () => createOpenAI({ baseURL, apiKey: key })('demo');

  it('gets and streams the text of the chat completion with its usage, and sends it back', async () => {
    const answer = await generateText({ ...settings, model: model() });
    expect(answer.text).toBe(expected.chat);
    expect(answer.usage).toMatchObject({
      inputTokens: expected.promptTokens,
      outputTokens: expected.completionTokens,
    });
    const streamed = streamText({ ...settings, model: model() });
    let text = '';
    for await (const piece of streamed.textStream) text += piece;
    expect(text).toBe(expected.chat);
    expect(await streamed.usage).toMatchObject({ outputTokens: expected.completionTokens });
    const { prompt: _, ...rest } = settings;
    const messages = [
      { role: 'user' as const, content: question },
      ...answer.response.messages,
      { role: 'user' as const, content: 'And of Spain?' },
    ];
    const raw = await generateText({ ...rest, model: model(), messages });
    expect(raw.usage.inputTokens).toBeGreaterThan(expected.promptTokens + expected.completionTokens);
  });

  it('gets objects of a schema', async () => {
    const { output } = await generateText({
      ...settings,
      maxOutputTokens: 60,
      model: model(),
      output: Output.object({ schema: jsonSchema<{ answer: string }>(schema) }),
    });
    expect(['yes', 'no']).toContain(output.answer);
  });
});

describe('LangChain', () => {
  const settings = () => ({
    model: 'demo',
    apiKey: key,
    maxTokens: 16,
    temperature: 0,
    maxRetries: 0,
    configuration: { baseURL },
  });

  it('gets and streams the text of a chat completion with its usage', async () => {
    const model = new ChatOpenAI({ ...settings(), modelKwargs: { seed: 7 } });
    const answer = await model.invoke(question);
    expect(answer.text).toBe(expected.chat);
    expect(answer.usage_metadata).toMatchObject({
      input_tokens: expected.promptTokens,
      output_tokens: expected.completionTokens,
    });
    let text = '';
    for await (const chunk of await model.stream(question)) text += chunk.text;
    expect(text).toBe(expected.chat);
  });

  it('gets and streams the text of a completion', async () => {
    const model = new LangChainCompletions({ ...settings(), modelKwargs: { seed: 7 } });
    expect(await model.invoke(story)).toBe(expected.completion);
    let text = '';
    for await (const chunk of await model.stream(story)) text += chunk;
    expect(text).toBe(expected.completion);
  });

  it('hands on the tidar object', async () => {
    const model = new ChatOpenAI({ ...settings(), modelKwargs: { tidar: { regex: '[ab]{3}' } } });
    expect((await model.invoke(question)).text).toMatch(/^[ab]{3}$/);
  });

  it('gets objects of a schema', async () => {
    const model = new ChatOpenAI({ ...settings(), maxTokens: 60 });
    const structured = model.withStructuredOutput<{ answer: string }>(
      { title: 'answer', ...schema },
      { method: 'jsonSchema' },
    );
    expect(['yes', 'no']).toContain((await structured.invoke(question)).answer);
  });
});

describe('bare HTTP', () => {
  const post = (route: string, body: object, headers: object = {}): Promise<Response> =>
    fetch(`${baseURL}${route}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json', ...headers },
      body: JSON.stringify({ ...raw, ...body }),
    });
  const ROUTES = [
    ['/chat/completions', { messages: [{ role: 'user', content: question }] }],
    ['/completions', { prompt: story }],
  ] as const;

  it.each(ROUTES)('of %s has the types, the ids and the end that a stream must have', async (route, body) => {
    const whole = await post(route, body);
    expect(whole.headers.get('content-type')).toBe('application/json');
    expect(whole.headers.get('x-request-id')).toMatch(/^req_/);
    await whole.text();
    const response = await post(route, { ...body, stream: true });
    expect(response.headers.get('content-type')).toBe('text/event-stream; charset=utf-8');
    const text = await response.text();
    expect(text.endsWith('data: [DONE]\n\n')).toBe(true);
    const blocks = text.trimEnd().split('\n\n').slice(0, -1);
    expect(blocks.every((block) => /^id: \S+\ndata: \{.*\}$/.test(block))).toBe(true);
    const chunks = blocks.map((block) => JSON.parse(block.slice(block.indexOf('data: ') + 6)) as object);
    expect(chunks.some((chunk) => 'usage' in chunk)).toBe(false);
    expect(new Set(chunks.map((chunk) => (chunk as { id: string }).id)).size).toBe(1);
  });

  it.each(ROUTES)('of %s is refused without a key, as no JSON and by other methods', async (route, body) => {
    expect((await post(route, body, { authorization: '' })).status).toBe(401);
    expect((await post(route, body, { 'content-type': 'text/plain' })).status).toBe(415);
    const headers = { authorization: `Bearer ${key}` };
    const got = await fetch(`${baseURL}${route}`, { headers });
    expect([got.status, got.headers.get('allow')]).toEqual([405, 'POST']);
  });
});

describe('docs/api.md', () => {
  const page = readFileSync(new URL('../../docs/api.md', import.meta.url), 'utf8');

  it('has examples that run as they stand', async () => {
    const blocks = [...page.matchAll(/^```sh\n([^]*?)^```$/gm)].map(([, block]) => block ?? '');
    const examples = blocks.filter((block) => !block.startsWith('export '));
    expect(examples.length).toBeGreaterThan(4);
    for (const example of examples) {
      const env = { ...process.env, TIDAR_URL: edge.url, TIDAR_KEY: key };
      const { stdout } = await promisify(execFile)('bash', ['-euo', 'pipefail', '-c', example], { env });
      expect(stdout).toMatch(/^(\{|id: |event: )/);
    }
  });

  it('names every error that a client may get, with its status', () => {
    const rows = [...page.matchAll(/^\| (`[^|]*`) *\| (\d{3}) +\|/gm)];
    const told = rows.flatMap(([, codes = '', status]) =>
      [...codes.matchAll(/`(\w+)`/g)].map(([, code]) => `${code} ${status}`),
    );
    const own = Object.entries(ERRORS).filter(([code]) => !BETWEEN_EDGE_AND_BACKEND.has(code));
    expect(told.sort()).toEqual(own.map(([code, { httpStatus }]) => `${code} ${httpStatus}`).sort());
  });
});

/** What no client sees: the edge tells it otherwise, or it ends a start. */
const BETWEEN_EDGE_AND_BACKEND = new Set([
  'lease_invalid',
  'lease_expired',
  'duplicate_attempt',
  'attempt_superseded',
  'model_folder_invalid',
  'unsupported_model',
]);
