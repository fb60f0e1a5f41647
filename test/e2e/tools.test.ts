import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SseDecoder, type SseMessage } from '@tidar/shared/sse.ts';
import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type EdgeHarness, startEdgeHarness } from '../support/edge-harness.ts';
import { Site } from '../support/site.ts';
import { makeToolChatModel, type ToolChatModel } from '../support/tool-chat-model.ts';

type Chunk = OpenAI.ChatCompletionChunk;
type Message = OpenAI.ChatCompletionMessage;

const tools: OpenAI.ChatCompletionTool[] = [
  {
    type: 'function',
    function: {
      name: 'get_weather',
      description: 'The weather of a city',
      parameters: {
        type: 'object',
        properties: { city: { type: 'string', enum: ['Köln', 'Paris'] }, days: { type: 'integer' } },
        required: ['city', 'days'],
      },
    },
  },
  {
    type: 'function',
    function: {
      name: 'turn_light',
      parameters: { type: 'object', properties: { on: { type: 'boolean' } }, required: ['on'] },
    },
  },
];
const user = { role: 'user' as const, content: 'Weather in Köln?' };
const ask = {
  model: 'qwen3',
  messages: [user],
  tools,
  parallel_tool_calls: false,
  max_tokens: 120,
  seed: 3,
  // Qwen's own switch: its template closes an empty thought.
  chat_template_kwargs: { enable_thinking: false },
};
const named = (name: string): OpenAI.ChatCompletionNamedToolChoice => ({
  type: 'function',
  function: { name },
});

let model: ToolChatModel;
let folder: string;
let sites: Site[];
let edge: EdgeHarness;
let openai: OpenAI;
let apiKey: string;
beforeAll(async () => {
  model = makeToolChatModel('qwen3');
  folder = mkdtempSync(join(tmpdir(), 'tidar-tools-sites-'));
  sites = await Promise.all(['a', 'b'].map((name) => Site.start(model.path, join(folder, `${name}.sqlite`))));
  edge = await startEdgeHarness({ BACKENDS: JSON.stringify(sites.map(({ proxy }) => ({ url: proxy.url }))) });
  apiKey = await edge.createKey({ requests_per_minute: 1_000_000 });
  openai = new OpenAI({ baseURL: `${edge.url}/v1`, apiKey, maxRetries: 0 });
});
afterAll(async () => {
  await edge.close();
  await Promise.all(sites.map((site) => site.close()));
  model.remove();
  rmSync(folder, { recursive: true, force: true });
});

type Changes = Partial<OpenAI.ChatCompletionCreateParamsNonStreaming> & object;
const complete = async (changes: Changes & Record<string, unknown> = {}): Promise<OpenAI.ChatCompletion> =>
  openai.chat.completions.create({ ...ask, ...changes });
const messageOf = (answer: OpenAI.ChatCompletion, choice = 0): Message => answer.choices[choice]!.message;

interface Call {
  id: string;
  name: string;
  arguments: unknown;
}
function callsOf({ tool_calls: calls = [] }: Message): Call[] {
  return calls.map((call) => {
    if (call.type !== 'function') throw new Error(`a call of type ${call.type}`);
    return { id: call.id, name: call.function.name, arguments: JSON.parse(call.function.arguments) };
  });
}

/** What chunks tell of choice 0, put together as clients do it. */
function joined(chunks: readonly Chunk[]): { content: string; calls: Call[] } {
  let content = '';
  const calls: { id: string; name: string; text: string }[] = [];
  for (const { delta } of chunks.flatMap(({ choices }) => choices)) {
    content += delta.content ?? '';
    for (const { index, id, function: piece } of delta.tool_calls ?? []) {
      if (id !== undefined) calls[index] = { id, name: piece?.name ?? '', text: '' };
      calls[index]!.text += piece?.arguments ?? '';
    }
  }
  return { content, calls: calls.map(({ text, ...call }) => ({ ...call, arguments: JSON.parse(text) })) };
}

it('a model tells how it writes calls', async () => {
  expect(await openai.models.retrieve('qwen3')).toMatchObject({ tidar: { tool_format: 'hermes' } });
});

describe('a function that must be called', () => {
  it('is called with arguments of its schema, even by a model of random weights', async () => {
    const answer = await complete({ tool_choice: named('get_weather') });
    const message = messageOf(answer);
    expect(message.content).toBeNull();
    expect(callsOf(message)).toEqual([
      {
        id: expect.stringMatching(/^call_[0-9a-f]{24}$/),
        name: 'get_weather',
        arguments: { city: expect.stringMatching(/^(Köln|Paris)$/), days: expect.any(Number) },
      },
    ]);
    expect(answer.choices[0]?.finish_reason).toBe('tool_calls');
  });

  it('is any of the tools where none is named', async () => {
    for (const seed of [1, 2, 3, 4]) {
      const [call, ...others] = callsOf(messageOf(await complete({ tool_choice: 'required', seed })));
      expect(others).toEqual([]);
      expect(['get_weather', 'turn_light']).toContain(call?.name);
    }
  });

  it('is streamed in pieces that join to the same call, whose beginning alone has id and name', async () => {
    const whole = callsOf(messageOf(await complete({ tool_choice: named('get_weather') })));
    const stream = await openai.chat.completions.create({
      ...ask,
      tool_choice: named('get_weather'),
      stream: true,
    });
    const chunks: Chunk[] = [];
    for await (const chunk of stream) chunks.push(chunk);
    const { content, calls } = joined(chunks);
    expect(content).toBe('');
    expect(calls.map(({ name, arguments: written }) => ({ name, arguments: written }))).toEqual(
      whole.map(({ name, arguments: written }) => ({ name, arguments: written })),
    );
    const pieces = chunks.flatMap(({ choices }) => choices.flatMap(({ delta }) => delta.tool_calls ?? []));
    expect(pieces.length).toBeGreaterThan(2);
    expect(pieces.filter(({ id }) => id !== undefined)).toHaveLength(1);
    expect(pieces.filter(({ type }) => type !== undefined)).toHaveLength(1);
    expect(chunks.at(-1)?.choices[0]?.finish_reason).toBe('tool_calls');
  });

  it('is called several times where that is allowed, and by each choice for itself', async () => {
    const many = { tool_choice: 'required' as const, parallel_tool_calls: true, n: 2, max_tokens: 400 };
    const answer = await complete({ ...many, temperature: 1.5 });
    const calls = [0, 1].map((choice) => messageOf(answer, choice).tool_calls ?? []);
    const ids = calls.flat().map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    expect(calls.every((each) => each.length > 0)).toBe(true);
  });

  it('has a call that the client can send back, with what it came to', async () => {
    const message = messageOf(await complete({ tool_choice: named('get_weather') }));
    const result = {
      role: 'tool' as const,
      tool_call_id: callsOf(message)[0]!.id,
      content: '{"sky":"rain"}',
    };
    const next = await complete({ messages: [user, message, result], tool_choice: 'none', max_tokens: 8 });
    expect(next.choices[0]?.finish_reason).toMatch(/stop|length/);
    const without = await complete({ messages: [user], tool_choice: 'none', max_tokens: 8 });
    expect(next.usage!.prompt_tokens).toBeGreaterThan(without.usage!.prompt_tokens + 50);
  });
});

describe('tool_choice', () => {
  it('none shows the model no tools', async () => {
    const none = await complete({ tool_choice: 'none', max_tokens: 1 });
    const plain = await complete({ tools: [], max_tokens: 1, parallel_tool_calls: undefined });
    expect(none.usage!.prompt_tokens).toBe(plain.usage!.prompt_tokens);
  });

  it('auto lets the model write text, and holds what it opens as a call to its form', async () => {
    const openCall = model.idOf('<tool_call>');
    const text = messageOf(await complete({ logit_bias: { [openCall]: -100 } }));
    expect(text.tool_calls).toBeUndefined();
    expect(text.content!.length).toBeGreaterThan(0);
    const answer = await complete({ logit_bias: { [openCall]: 100 } });
    expect(callsOf(messageOf(answer))).toHaveLength(1);
    expect(answer.choices[0]?.finish_reason).toBe('tool_calls');
  });
});

describe('what the model thinks', () => {
  it('comes apart from its text, whole and streamed, and may be sent back with it', async () => {
    // It opens a thought at once, and never ends it.
    const thinking = {
      ...ask,
      chat_template_kwargs: {},
      logit_bias: { [model.idOf('<think>')]: 100 },
      max_tokens: 12,
    };
    const answer = await openai.chat.completions.create(thinking);
    const message = messageOf(answer) as Message & { reasoning_content?: string };
    expect(message.content).toBe('');
    expect(message.reasoning_content).toMatch(/^(<think>)+$/);
    let streamed = '';
    for await (const { choices } of await openai.chat.completions.create({ ...thinking, stream: true }))
      streamed += (choices[0]?.delta as { reasoning_content?: string } | undefined)?.reasoning_content ?? '';
    expect(streamed).toBe(message.reasoning_content);
    const next = await complete({ messages: [user, message, user], tool_choice: 'none', max_tokens: 1 });
    expect(next.choices[0]?.finish_reason).toMatch(/stop|length/);
  });
});

describe('a stream of a call that breaks', () => {
  const body = (): string => JSON.stringify({ ...ask, tool_choice: named('get_weather'), stream: true });
  const headers = () => ({ authorization: `Bearer ${apiKey}`, 'content-type': 'application/json' });
  const read = async (response: Response): Promise<SseMessage[]> =>
    new SseDecoder().push(new Uint8Array(await response.arrayBuffer()));
  const post = async (): Promise<SseMessage[]> =>
    read(
      await fetch(`${edge.url}/v1/chat/completions`, { method: 'POST', headers: headers(), body: body() }),
    );
  const chunkOf = ({ data }: SseMessage): Chunk[] => (data === '[DONE]' ? [] : [JSON.parse(data) as Chunk]);
  const written = (events: readonly SseMessage[]) =>
    joined(events.flatMap(chunkOf)).calls.map(({ name, arguments: args }) => ({ name, args }));

  it('goes on after any of its events with the rest of the call, under the same id', async () => {
    const events = await post();
    const whole = joined(events.flatMap(chunkOf));
    expect(whole.calls).toHaveLength(1);
    const id = events.flatMap(chunkOf)[0]!.id;
    for (const [at, event] of events.entries()) {
      if (event.id === undefined || event.id === events[at + 1]?.id) continue;
      const url = `${edge.url}/v1/responses/${id}?stream=true&starting_after=${event.id}`;
      const rest = await read(await fetch(url, { headers: headers() }));
      expect(joined([...events.slice(0, at + 1), ...rest].flatMap(chunkOf))).toEqual(whole);
    }
  });

  it.each([
    ['its connection is cut', async (site: Site) => site.proxy.cut()],
    [
      'its backend is killed',
      async (site: Site) => {
        await site.kill();
        await site.start();
      },
    ],
  ])('is no break for its client where %s in the middle of the call', async (_, disturb) => {
    const whole = written(await post());
    const held = Promise.race(
      sites.map(async (site) => {
        // The ids of the prompt come first.
        await site.proxy.holdAfter(6_000);
        return site;
      }),
    );
    const answer = post();
    const site = await held;
    for (const { proxy } of sites.filter((other) => other !== site)) proxy.release();
    await disturb(site);
    expect(written(await answer)).toEqual(whole);
  });
});
