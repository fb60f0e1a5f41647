import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SseDecoder, type SseMessage } from '@tidar/shared/sse.ts';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Chunk, type Completion, RawClient, readChunks, textOfChunks } from '../support/openai-http.ts';
import { ServeProcess } from '../support/serve-process.ts';
import { Site } from '../support/site.ts';
import { makeTinyChatModel, type TinyChatModel } from '../support/tiny-chat-model.ts';

const CLIENT_GRACE_MS = 3_000;

let model: TinyChatModel;
let folder: string;
let site: Site;
let edge: ServeProcess;
let client: RawClient;
beforeAll(async () => {
  model = await makeTinyChatModel();
  folder = await mkdtemp(join(tmpdir(), 'tidar-resume-'));
  site = await Site.start(model.path, join(folder, 'journal.sqlite'), [
    '--client-grace-ms',
    String(CLIENT_GRACE_MS),
  ]);
  edge = await startEdge();
});
afterAll(async () => {
  await edge?.stop();
  await site?.close();
  await model?.remove();
  await rm(folder, { recursive: true, force: true });
});
beforeEach(async () => {
  client = new RawClient(edge.url, await edge.createKey({ requests_per_minute: 100_000 }));
});

function startEdge(): Promise<ServeProcess> {
  const vars = {
    BACKENDS: JSON.stringify([{ url: site.proxy.url }]),
    SLICE_TOKENS: '16',
    KEEP_ALIVE_MS: '300',
    LEAVE_GRACE_MS: String(CLIENT_GRACE_MS + 500),
    SETTLE_GRACE_MS: '120000',
  };
  return ServeProcess.start({ vars, stateDir: join(folder, 'state') });
}

const ask = {
  model: 'tiny-chat',
  messages: [{ role: 'user', content: 'hello, 12+30=?' }],
  max_tokens: 150,
  n: 2,
  seed: 5,
  stream: true,
  stream_options: { include_usage: true },
  tidar: { ignore_eos: true },
};
let numKeys = 0;
const newKey = (): string => `key ${(numKeys += 1)}`;

function post(body: object, headers: Record<string, string> = {}, signal?: AbortSignal): Promise<Response> {
  return fetch(`${edge.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${client.key}`, 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
    ...(signal === undefined ? {} : { signal }),
  });
}
const get = (path: string): Promise<Response> =>
  fetch(edge.url + path, { headers: { authorization: `Bearer ${client.key}` } });

interface Part {
  chunks: Chunk[];
  lastId: string;
  requestId: string;
}

/** Reads some messages of a stream and waits, then the connection is gone. */
async function readPart(
  numMessages: number,
  headers: Record<string, string> = {},
  wait?: Promise<void>,
): Promise<Part> {
  const controller = new AbortController();
  const response = await post(ask, headers, controller.signal);
  const messages: SseMessage[] = [];
  const decoder = new SseDecoder();
  const reader: ReadableStreamDefaultReader<Uint8Array> = response.body!.getReader();
  while (messages.length < numMessages) {
    const { done, value } = await reader.read();
    if (done) throw new Error('the answer ended before it was to be left');
    messages.push(...decoder.push(value));
  }
  await wait;
  controller.abort();
  const kept = messages.slice(0, numMessages);
  return {
    chunks: kept.map(({ data }) => JSON.parse(data) as Chunk),
    lastId: kept.at(-1)!.id!,
    requestId: response.headers.get('x-request-id')!,
  };
}

const texts = (chunks: readonly Chunk[]): string[] => [0, 1].map((choice) => textOfChunks(chunks, choice));

async function wholeTexts(): Promise<string[]> {
  return texts((await readChunks(await post(ask))).chunks);
}

/** Holds the backend's answer in mid-stream for as long as something is done. */
async function whileHeld<Value>(
  numBytes: number,
  work: (held: Promise<void>) => Promise<Value>,
): Promise<Value> {
  const held = site.proxy.holdAfter(numBytes);
  try {
    return await work(held);
  } finally {
    site.proxy.release();
  }
}

const settled = ({ state }: { state: string }): boolean => state === 'settled';

describe('a client that lost its connection', () => {
  it.each([2, 3, 5, 9, 17])(
    'after %s chunks gets the rest by the same request with Last-Event-ID, at one bill',
    async (numMessages) => {
      const whole = await wholeTexts();
      const headers = { 'idempotency-key': newKey() };
      const part = await readPart(numMessages, headers);
      const rest = await readChunks(await post(ask, { ...headers, 'last-event-id': part.lastId }));
      expect(rest.isDone).toBe(true);
      expect(texts([...part.chunks, ...rest.chunks])).toEqual(whole);
      expect(rest.chunks.at(-1)?.usage).toMatchObject({ completion_tokens: 300 });
      expect((await client.usage()).total).toMatchObject({ num_requests: 2, completion_tokens: 600 });
    },
  );

  it.each([2, 4, 11])(
    'after %s chunks gets the rest from GET /v1/responses, without any key',
    async (numMessages) => {
      const whole = await wholeTexts();
      const part = await readPart(numMessages);
      const path = `/v1/responses/${part.chunks[0]!.id}?stream=true&starting_after=${part.lastId}`;
      const rest = await readChunks(await get(path));
      expect(rest.isDone).toBe(true);
      expect(texts([...part.chunks, ...rest.chunks])).toEqual(whole);
      await client.lastRequest(settled);
      expect((await client.usage()).total).toMatchObject({ num_requests: 2, completion_tokens: 600 });
      // Whatever was settled meanwhile: it may be read again.
      expect(texts([...part.chunks, ...(await readChunks(await get(path))).chunks])).toEqual(whole);
      const object = (await (await get(`/v1/responses/${part.requestId}`)).json()) as Completion;
      expect(object.choices.map(({ message }) => message.content)).toEqual(whole);
      expect(object.usage.completion_tokens).toBe(300);
    },
  );

  it('and whose edge was killed too gets the rest from another one, at one bill', async () => {
    const whole = await wholeTexts();
    const headers = { 'idempotency-key': newKey() };
    const part = await whileHeld(4_000, async (held) => {
      const killed = held.then(() => edge.killAll());
      return readPart(5, headers, killed);
    });
    edge = await startEdge();
    const rest = await readChunks(await post(ask, { ...headers, 'last-event-id': part.lastId }));
    expect(rest.isDone).toBe(true);
    expect(texts([...part.chunks, ...rest.chunks])).toEqual(whole);
    const same = await readChunks(await post(ask, headers));
    expect(texts(same.chunks)).toEqual(whole);
    client = new RawClient(edge.url, client.key);
    await client.lastRequest(settled);
    expect((await client.usage()).total).toMatchObject({ num_requests: 2, completion_tokens: 600 });
  });

  it('is refused a place that is none of its answer, and the answer of another key', async () => {
    const headers = { 'idempotency-key': newKey() };
    const { chunks } = await readChunks(await post(ask, headers));
    for (const place of ['1', 'x', '1,2,3', '999,999'])
      expect((await get(`/v1/responses/${chunks[0]!.id}?stream=true&starting_after=${place}`)).status).toBe(
        400,
      );
    const other = await edge.createKey({});
    const path = `${edge.url}/v1/responses/${chunks[0]!.id}`;
    expect((await fetch(path, { headers: { authorization: `Bearer ${other}` } })).status).toBe(404);
    expect((await post(ask, { 'last-event-id': '1,1' })).status).toBe(404);
  });
});

describe('a duplicate in flight', () => {
  it('gets what there is of the answer and then the rest as it comes, byte for byte, at one bill', async () => {
    const headers = { 'idempotency-key': newKey() };
    const answers = await whileHeld(5_000, async (held) => {
      const first = post(ask, headers).then((response) => response.text());
      await held;
      const second = await post(ask, headers);
      expect(second.headers.get('idempotent-replayed')).toBe('true');
      const reader: ReadableStreamDefaultReader<Uint8Array> = second.body!.getReader();
      let text = '';
      // It has some text of an answer that is not whole yet.
      while (!/"content":"[^"]/.test(text)) text += new TextDecoder().decode((await reader.read()).value);
      site.proxy.release();
      for (let read = await reader.read(); !read.done; read = await reader.read())
        text += new TextDecoder().decode(read.value);
      return [await first, text];
    });
    const withoutComments = answers.map((text) => text.replaceAll(/^: .*\n\n/gm, ''));
    expect(withoutComments[1]).toBe(withoutComments[0]);
    expect((await client.usage()).total).toMatchObject({ num_requests: 1, completion_tokens: 300 });
  });

  it('goes on with the answer where the first client leaves', async () => {
    const whole = await wholeTexts();
    const headers = { 'idempotency-key': newKey() };
    const chunks = await whileHeld(4_000, async (held) => {
      const { promise: leave, resolve: mayLeave } = Promise.withResolvers<void>();
      const leaving = readPart(4, headers, leave);
      await held;
      const second = post(ask, headers).then(readChunks);
      mayLeave();
      await leaving;
      await new Promise((resolve) => setTimeout(resolve, 300));
      site.proxy.release();
      return (await second).chunks;
    });
    expect(texts(chunks)).toEqual(whole);
    await client.lastRequest(settled);
    expect((await client.usage()).total).toMatchObject({ num_requests: 2, completion_tokens: 600 });
  });
});

describe('a client that leaves for good', () => {
  it('pays for what was generated until the grace was over, exactly as the journal has it', async () => {
    await readPart(3);
    const record = await client.lastRequest(settled);
    // The text waits at the end of a slice that nobody renews.
    expect(record).toMatchObject({ finish_reason: 'cancelled', estimated: false, rule_loss_tokens: 0 });
    expect(record.tokens_hash).toMatch(/^[0-9a-f]{64}$/);
    expect(record.completion_tokens).toBeGreaterThan(2);
    expect(record.completion_tokens).toBeLessThan(300);
  });
});
