import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BackendProcess } from '../support/backend-process.ts';
import { TEST_SECRETS } from '../support/edge-harness.ts';
import { EdgeProcess } from '../support/edge-process.ts';
import { RawClient, readChunks, textOfChunks } from '../support/openai-http.ts';
import { makeTinyChatModel, type TinyChatModel } from '../support/tiny-chat-model.ts';

let model: TinyChatModel;
let backend: BackendProcess;
let edge: EdgeProcess;
let key: string;
let openai: OpenAI;
let client: RawClient;
beforeAll(async () => {
  model = await makeTinyChatModel();
  backend = await BackendProcess.start({ modelPath: model.path, leaseSecrets: TEST_SECRETS.LEASE_SECRETS });
  edge = await EdgeProcess.start({ vars: { BACKENDS: JSON.stringify([{ url: backend.url }]) } });
  key = await edge.createKey({ requests_per_minute: 1_000_000 });
  openai = new OpenAI({ baseURL: `${edge.url}/v1`, apiKey: key, maxRetries: 0 });
  client = new RawClient(edge.url, key);
});
afterAll(async () => {
  await edge?.stop();
  await backend?.stop();
  await model?.remove();
});

const messages = [{ role: 'user' as const, content: 'hello, 12+30=?' }];
const ask = { model: 'tiny-chat', messages, max_tokens: 24 };

describe("OpenAI's own client", () => {
  it('lists the models and finds one by its id', async () => {
    const list = await openai.models.list();
    expect(list.data.map(({ id, object }) => ({ id, object }))).toEqual([
      { id: 'tiny-chat', object: 'model' },
    ]);
    expect((await openai.models.retrieve('tiny-chat')).id).toBe('tiny-chat');
    await expect(openai.models.retrieve('other')).rejects.toMatchObject({
      status: 404,
      code: 'model_not_found',
    });
  });

  it('gets a completion of the documented form', async () => {
    const answer = await openai.chat.completions.create({ ...ask, seed: 3 });
    expect(answer).toMatchObject({
      id: expect.stringMatching(/^chatcmpl-[0-9a-f]{32}$/),
      object: 'chat.completion',
      model: 'tiny-chat',
      system_fingerprint: backend.model.fingerprint,
      choices: [{ index: 0, message: { role: 'assistant', refusal: null }, logprobs: null }],
    });
    expect(Math.abs(answer.created - Date.now() / 1000)).toBeLessThan(60);
    expect(answer.usage?.completion_tokens).toBeGreaterThan(0);
    expect(answer.usage?.prompt_tokens).toBe(1 + messages[0]!.content.length);
    expect(answer.usage?.total_tokens).toBe(answer.usage!.prompt_tokens + answer.usage!.completion_tokens);
  });

  it('streams the same text that it gets at once, the role first, one finish reason, then usage', async () => {
    const whole = await openai.chat.completions.create({ ...ask, seed: 5 });
    const stream = await openai.chat.completions.create({
      ...ask,
      seed: 5,
      stream: true,
      stream_options: { include_usage: true },
    });
    const chunks = [];
    for await (const chunk of stream) chunks.push(chunk);
    const text = chunks.map(({ choices }) => choices[0]?.delta.content ?? '').join('');
    expect(text).toBe(whole.choices[0]?.message.content);
    expect(chunks[0]?.choices[0]?.delta).toEqual({ role: 'assistant', content: '' });
    const reasons = chunks
      .flatMap(({ choices }) => choices.map((choice) => choice.finish_reason))
      .filter(Boolean);
    expect(reasons).toEqual([whole.choices[0]?.finish_reason]);
    expect(chunks.at(-1)).toMatchObject({ choices: [], usage: whole.usage });
    expect(chunks.slice(0, -1).every(({ usage }) => usage === null)).toBe(true);
    expect(new Set(chunks.map(({ id }) => id)).size).toBe(1);
  });

  it('puts the chunks of two choices together to the answer that it gets at once', async () => {
    const request = { ...ask, seed: 5, n: 2, temperature: 1.5, logprobs: true, top_logprobs: 2 };
    const whole = await openai.chat.completions.create(request);
    const streamed = await openai.chat.completions.stream(request).finalChatCompletion();
    const told = ({ choices }: OpenAI.ChatCompletion): unknown =>
      choices.map(({ index, message, logprobs, finish_reason: reason }) => [
        index,
        message.content,
        logprobs?.content,
        reason,
      ]);
    expect(told(streamed)).toEqual(told(whole));
    expect(whole.choices).toHaveLength(2);
    expect(whole.choices[0]?.logprobs?.content?.[0]?.top_logprobs).toHaveLength(2);
  });

  it('reads refusals as what they are', async () => {
    const wrongKey = new OpenAI({ baseURL: `${edge.url}/v1`, apiKey: 'sk-wrong', maxRetries: 0 });
    await expect(wrongKey.chat.completions.create(ask)).rejects.toBeInstanceOf(OpenAI.AuthenticationError);
    await expect(openai.chat.completions.create({ ...ask, model: 'gpt' })).rejects.toMatchObject({
      status: 404,
      code: 'model_not_found',
      message: expect.stringContaining("'tiny-chat'"),
    });
    await expect(openai.chat.completions.create({ ...ask, max_tokens: 0 })).rejects.toMatchObject({
      status: 400,
      param: 'max_tokens',
    });
  });
});

describe('an answer', () => {
  it('is the same for the same seed, whatever decodes it, greedy and sampled', async () => {
    const decoders = [
      { decoder: 'ar' },
      ...[1, 2, 4, 7].map((length) => ({ decoder: 'tidar', plan: 'dense', draft_length: length })),
      { decoder: 'tidar' },
    ];
    for (const temperature of [0, 0.8]) {
      const answers = await Promise.all(
        decoders.map((tidar) => client.complete({ ...ask, temperature, seed: 11, tidar })),
      );
      expect(new Set(answers.map(({ choices }) => choices[0]?.message.content)).size).toBe(1);
      const [plain, ...drafted] = answers.map(({ tidar }) => tidar.num_forward_passes);
      expect(Math.min(...drafted)).toBeLessThan(plain!);
    }
  });

  it('names the seed that was drawn for it, and comes again from it', async () => {
    const first = await client.complete(ask);
    const again = await client.complete({ ...ask, seed: first.tidar.seed });
    expect(again.choices[0]?.message.content).toBe(first.choices[0]?.message.content);
    expect((await client.complete(ask)).tidar.seed).not.toBe(first.tidar.seed);
  });

  it('fills what the context leaves where no limit is asked for', async () => {
    const { usage, choices } = await client.complete({ ...ask, max_tokens: undefined, temperature: 0 });
    expect(choices[0]?.finish_reason === 'stop' || usage.total_tokens === backend.model.context_length).toBe(
      true,
    );
    expect(usage.total_tokens).toBeLessThanOrEqual(backend.model.context_length);
  });

  it('ends before its stop string, and only what stands before it is billed', async () => {
    const whole = await client.complete({ ...ask, temperature: 0 });
    const text = whole.choices[0]?.message.content ?? '';
    const stop = text.slice(5, 7);
    const { chunks } = await readChunks(await client.post({ ...ask, temperature: 0, stop, stream: true }));
    expect(textOfChunks(chunks)).toBe(text.slice(0, text.indexOf(stop)));
    expect(chunks.at(-1)?.choices[0]?.finish_reason).toBe('stop');
    expect((await client.usage()).requests[0]?.completion_tokens).toBe(text.indexOf(stop) + stop.length);
  });

  it('shows each forward pass on request: its tokens are those of the bill', async () => {
    const body = { ...ask, seed: 5, stream: true, tidar: { trace: 'stats' } };
    const { chunks, isDone } = await readChunks(await client.post(body));
    const steps = chunks.flatMap(({ tidar }) => (tidar?.token_ids === undefined ? [] : [tidar]));
    const [bill] = (await client.usage()).requests;
    expect(isDone).toBe(true);
    expect(steps.flatMap(({ token_ids }) => token_ids)).toHaveLength(bill?.completion_tokens ?? -1);
    expect(steps).toHaveLength(bill?.num_forward_passes ?? -1);
    for (const { rows, drafted, accepted } of steps) {
      expect(rows).toBeGreaterThanOrEqual(1);
      expect(accepted).toBeLessThanOrEqual(drafted ?? 0);
    }
  });
});

describe('a prompt that is too long', () => {
  it.each([false, true])('is a 400 with the reason, before any stream (stream: %s)', async (stream) => {
    const long = [{ role: 'user', content: 'a'.repeat(400) }];
    const response = await client.post({ ...ask, messages: long, stream });
    expect(response.status).toBe(400);
    expect(response.headers.get('content-type')).toContain('application/json');
    expect(await response.json()).toMatchObject({
      error: { code: 'context_length_exceeded', param: 'messages', type: 'invalid_request_error' },
    });
  });
});

describe('usage', () => {
  it('is recorded once for each of many requests at once, by token ids', async () => {
    const own = new RawClient(edge.url, await edge.createKey({ requests_per_minute: 1000 }));
    const answers = await Promise.all(
      Array.from({ length: 12 }, (_, index) =>
        own.complete({ ...ask, seed: index, user: `user-${index}`, metadata: { index: String(index) } }),
      ),
    );
    const { total, requests } = await own.usage();
    const sum = (name: 'prompt_tokens' | 'completion_tokens'): number =>
      answers.reduce((tokens, { usage }) => tokens + usage[name], 0);
    expect(total).toMatchObject({
      num_requests: 12,
      prompt_tokens: sum('prompt_tokens'),
      completion_tokens: sum('completion_tokens'),
    });
    const ids = requests.map(({ id }) => id.replace('req_', 'chatcmpl-'));
    expect(new Set(ids)).toEqual(new Set(answers.map(({ id }) => id)));
    expect(requests.every(({ state, estimated }) => state === 'settled' && !estimated)).toBe(true);
    expect(requests.find(({ user }) => user === 'user-7')?.metadata).toEqual({ index: '7' });
  });

  it('of another key is its own', async () => {
    const own = new RawClient(edge.url, await edge.createKey());
    expect(await own.usage()).toMatchObject({ total: { num_requests: 0 }, requests: [] });
  });

  it('when a client leaves in mid-stream is billed once, by what was generated until then', async () => {
    const own = new RawClient(edge.url, await edge.createKey());
    const controller = new AbortController();
    const response = await own.post(
      { ...ask, max_tokens: 200, temperature: 0, stream: true },
      controller.signal,
    );
    await response.body?.getReader().read();
    controller.abort();
    const bill = await own.lastRequest(({ state }) => state === 'settled');
    expect(bill.completion_tokens).toBeLessThanOrEqual(200);
    expect((await own.usage()).total).toMatchObject({
      num_requests: 1,
      completion_tokens: bill.completion_tokens,
    });
  });
});

describe('the limit of requests', () => {
  it('lets through exactly as many as it says when all come at once, and tells the others when', async () => {
    const own = new RawClient(edge.url, await edge.createKey({ requests_per_minute: 5 }));
    const startedAtMs = performance.now();
    const responses = await Promise.all(
      Array.from({ length: 40 }, () => own.post({ ...ask, max_tokens: 1 })),
    );
    const numFlowedIn = Math.floor(((performance.now() - startedAtMs) * 5) / 60_000);
    const admitted = responses.filter(({ status }) => status === 200);
    const refused = responses.filter(({ status }) => status === 429);
    expect(admitted.length + refused.length).toBe(40);
    expect(admitted.length).toBeGreaterThanOrEqual(5);
    expect(admitted.length).toBeLessThanOrEqual(5 + numFlowedIn);
    const [first] = refused;
    expect(Number(first?.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
    expect(Number(first?.headers.get('retry-after'))).toBeLessThanOrEqual(12);
    expect(first?.headers.get('x-ratelimit-limit-requests')).toBe('5');
    expect(first?.headers.get('x-ratelimit-remaining-requests')).toBe('0');
    expect(await first?.json()).toMatchObject({
      error: { code: 'rate_limit_exceeded', type: 'rate_limit_error' },
    });
    const remaining = admitted.map(({ headers }) => Number(headers.get('x-ratelimit-remaining-requests')));
    expect(Math.max(...remaining)).toBe(4);
    expect((await own.usage()).total.num_requests).toBe(admitted.length);
  });
});
