import { randomUUID } from 'node:crypto';
import type { Agent } from 'node:http';
import type { Random } from '../chaos/random.ts';
import { type Answer, messagesOf, post, textOf } from './sse-client.ts';
import type { System } from './system.ts';

const NUM_PLAIN_KEYS = 3;
const QUESTIONS = [
  'Ana has 7 bags of 6 apples and 5 loose apples. How many apples does Ana have?',
  'What is the capital of France?',
  'Tom buys 3 pens at 4 dollars each. How much does he pay?',
  'Which language is spoken in Brazil?',
];

export interface Tokens {
  prompt_tokens: number;
  completion_tokens: number;
  cached_tokens: number;
}

/** What the clients saw, to be held against what the ledgers say. */
export interface Books {
  readonly plain: readonly string[];
  /** Of clients that leave; what they are billed past what they saw, the journal knows. */
  readonly leavers: string;
  /** Few requests a minute. */
  readonly limited: string;
  /** By key, of answers that came whole. */
  readonly seen: Map<string, Tokens>;
  /** Answers that were left, with the tokens that had come. */
  readonly left: { readonly requestId: string; readonly numTokens: number }[];
  readonly calls: Map<string, number>;
  readonly problems: string[];
  numCalls: number;
}

export async function newBooks({ edge }: System): Promise<Books> {
  const many = { requests_per_minute: 1_000_000 };
  const plain = await Promise.all(Array.from({ length: NUM_PLAIN_KEYS }, () => edge.createKey(many)));
  const leavers = await edge.createKey(many);
  const limited = await edge.createKey({ requests_per_minute: 20, tokens_per_minute: 4_000 });
  const none = (): Tokens => ({ prompt_tokens: 0, completion_tokens: 0, cached_tokens: 0 });
  const seen = new Map([...plain, limited].map((key) => [key, none()] as const));
  return { plain, leavers, limited, seen, left: [], calls: new Map(), problems: [], numCalls: 0 };
}

interface Scene {
  readonly system: System;
  readonly agent: Agent;
  readonly books: Books;
  readonly random: Random;
}

type Act = (scene: Scene) => Promise<void>;

const ACTS: Readonly<Record<string, readonly [weight: number, act: Act]>> = {
  'chat answers': [25, (scene) => wholeAnswer(scene, chatBody(scene))],
  'chat streams': [25, (scene) => wholeStream(scene, chatBody(scene))],
  completions: [10, (scene) => wholeAnswer(scene, completionBody(scene))],
  'completion streams': [10, (scene) => wholeStream(scene, completionBody(scene))],
  'clients that left': [10, leave],
  'bad requests': [10, badRequest],
  'calls with a limited key': [5, limitedCall],
  'repeated requests': [5, repeat],
};

/** One call of one client, drawn. */
export async function act(system: System, agent: Agent, books: Books, random: Random): Promise<void> {
  const all = Object.entries(ACTS);
  const total = all.reduce((sum, [, [weight]]) => sum + weight, 0);
  let left = random.next() * total;
  const [name, [, play]] = all.find(([, [weight]]) => (left -= weight) < 0) ?? all[0] ?? fail('no act');
  try {
    await play({ system, agent, books, random });
  } catch (error) {
    books.problems.push(`${name}: ${String(error)}`);
  }
  books.numCalls += 1;
  books.calls.set(name, (books.calls.get(name) ?? 0) + 1);
}

interface Body {
  readonly path: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

function chatBody({ system, random }: Scene): Body {
  const messages = [{ role: 'user', content: random.pick(QUESTIONS) }];
  const fields = { model: system.backend.model.id, messages, ...samplingOf(random) };
  return { path: '/v1/chat/completions', fields };
}

function completionBody({ system, random }: Scene): Body {
  const fields = { model: system.backend.model.id, prompt: random.pick(QUESTIONS), ...samplingOf(random) };
  return { path: '/v1/completions', fields };
}

const samplingOf = (random: Random): Record<string, unknown> => ({
  max_tokens: random.whole(1, 60),
  temperature: random.pick([0, 0.8]),
  n: random.pick([1, 1, 1, 2]),
});

function send(
  { system, agent }: Scene,
  key: string,
  { path, fields }: Body,
  headers: Readonly<Record<string, string>> = {},
  signal?: AbortSignal,
): Promise<Answer> {
  const url = system.edge.url + path;
  const all = { authorization: `Bearer ${key}`, ...headers };
  return post(agent, { url, headers: all, body: JSON.stringify(fields) }, signal);
}

interface Usage {
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  readonly prompt_tokens_details: { readonly cached_tokens: number };
}

function count({ seen }: Books, key: string, usage: Usage | null | undefined): void {
  const tokens = seen.get(key);
  if (tokens === undefined || usage == null) throw new Error('an answer without its usage');
  tokens.prompt_tokens += usage.prompt_tokens;
  tokens.completion_tokens += usage.completion_tokens;
  tokens.cached_tokens += usage.prompt_tokens_details.cached_tokens;
}

async function wholeAnswer(scene: Scene, body: Body): Promise<void> {
  const key = scene.random.pick(scene.books.plain);
  const { status, stream } = await send(scene, key, body);
  const text = await textOf(stream);
  if (status !== 200) throw new Error(`status ${status}: ${text}`);
  count(scene.books, key, (JSON.parse(text) as { usage: Usage }).usage);
}

const streamed = ({ path, fields }: Body): Body => ({
  path,
  fields: { ...fields, stream: true, stream_options: { include_usage: true } },
});

async function wholeStream(scene: Scene, body: Body): Promise<void> {
  const key = scene.random.pick(scene.books.plain);
  let usage: Usage | null | undefined;
  let isDone = false;
  for await (const { data } of messagesOf(await send(scene, key, streamed(body)))) {
    if (data === '[DONE]') isDone = true;
    else usage = (JSON.parse(data) as { usage?: Usage | null }).usage ?? usage;
  }
  if (!isDone) throw new Error('a stream without its end');
  count(scene.books, key, usage);
}

/** Reads some of a long answer and goes. */
async function leave(scene: Scene): Promise<void> {
  const { books, random } = scene;
  const { path, fields } = streamed(chatBody(scene));
  const body = { path, fields: { ...fields, n: 1, max_tokens: 120, tidar: { ignore_eos: true } } };
  const controller = new AbortController();
  const answer = await send(scene, books.leavers, body, {}, controller.signal);
  const requestId = String(answer.headers['x-request-id']);
  let [numTokens, numToRead] = [0, random.whole(0, 6)];
  try {
    for await (const { id = '0', data } of messagesOf(answer)) {
      if (data.includes('"error"')) throw new Error(data);
      numTokens = Math.trunc(Number(id));
      if ((numToRead -= 1) < 0) break;
    }
  } finally {
    controller.abort();
  }
  books.left.push({ requestId, numTokens });
}

const BAD: readonly (readonly [change: Record<string, unknown>, status: number])[] = [
  [{ model: 'nobody' }, 404],
  [{ temperature: 9 }, 400],
  [{ unknown_field: 1 }, 400],
  [{ messages: [] }, 400],
  [{ max_tokens: 0 }, 400],
  [{ n: 1000 }, 400],
  [{ stop: [''] }, 400],
];

async function badRequest(scene: Scene): Promise<void> {
  const [change, wanted] = scene.random.pick(BAD);
  const { path, fields } = chatBody(scene);
  const body = { path, fields: { ...fields, ...change } };
  const { status, stream } = await send(scene, scene.random.pick(scene.books.plain), body);
  const text = await textOf(stream);
  if (status !== wanted) throw new Error(`${JSON.stringify(change)} has status ${status}: ${text}`);
}

async function limitedCall(scene: Scene): Promise<void> {
  const { books } = scene;
  const { path, fields } = chatBody(scene);
  const { status, stream } = await send(scene, books.limited, { path, fields: { ...fields, max_tokens: 8 } });
  const text = await textOf(stream);
  if (status === 200) count(books, books.limited, (JSON.parse(text) as { usage: Usage }).usage);
  else if (status !== 429) throw new Error(`status ${status}: ${text}`);
}

/** The same request twice: one answer, and one bill. */
async function repeat(scene: Scene): Promise<void> {
  const key = scene.random.pick(scene.books.plain);
  const body = chatBody(scene);
  const headers = { 'idempotency-key': randomUUID() };
  const texts: string[] = [];
  for (let turn = 0; turn < 2; turn += 1) {
    const { status, stream } = await send(scene, key, body, headers);
    texts.push(await textOf(stream));
    if (status !== 200) throw new Error(`status ${status}: ${texts.at(-1)}`);
  }
  const [first = '', second] = texts;
  if (first !== second) throw new Error('a repeated request has another answer');
  count(scene.books, key, (JSON.parse(first) as { usage: Usage }).usage);
}

function fail(message: string): never {
  throw new Error(message);
}
