import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { join } from 'node:path';
import { errorBody, TidarError } from '@tidar/shared/errors.ts';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { dueQuestions, hearJournal, type JournalWord } from '../../edge/src/ledger/journal.ts';
import { attachReader, leaveReader, putOffQuestion } from '../../edge/src/ledger/readers.ts';
import { proveProgress, startRequest } from '../../edge/src/ledger/requests.ts';
import type { RequestRow } from '../../edge/src/ledger/rows.ts';
import { admitTo, GRACE_MS, newNodeLedger, NOON, progressOf } from '../support/node-ledger.ts';
import { type Chunk, RawClient, readChunks, textOfChunks } from '../support/openai-http.ts';
import { ServeProcess } from '../support/serve-process.ts';
import { makeTinyChatModel, type TinyChatModel } from '../support/tiny-chat-model.ts';
import { BackendSite, CLIENT_GRACE_MS } from './backend-site.ts';

// What `npm run chaos` has found, as laws of their own: see docs/faults.md.

const SLOW_MS = 2_000;
let model: TinyChatModel;
let folder: string;
let site: BackendSite;
let loading: Server;
let edge: ServeProcess;
let client: RawClient;
let vars: Record<string, string>;
beforeAll(async () => {
  model = await makeTinyChatModel();
  folder = await mkdtemp(join(tmpdir(), 'tidar-found-'));
  site = await BackendSite.start('one', folder, model.path);
  loading = createServer((_, response) => {
    const error = new TidarError('backend_unavailable', 'The model is being loaded.');
    response.writeHead(502, { 'content-type': 'application/json' }).end(JSON.stringify(errorBody(error)));
  }).listen(0, '127.0.0.1');
  await once(loading, 'listening');
  const { port } = loading.address() as AddressInfo;
  vars = {
    BACKENDS: JSON.stringify([{ url: site.wire.url }, { url: `http://127.0.0.1:${port}` }]),
    SLICE_TOKENS: '16',
    LEAVE_GRACE_MS: String(CLIENT_GRACE_MS + 300),
  };
  edge = await startEdge();
  client = new RawClient(edge.url, await edge.createKey({}));
});
afterAll(async () => {
  await edge?.stop();
  await site?.close();
  loading?.close();
  await model?.remove();
  await rm(folder, { recursive: true, force: true });
});

const startEdge = (): Promise<ServeProcess> => ServeProcess.start({ vars, stateDir: join(folder, 'state') });

const ask = {
  model: 'tiny-chat',
  messages: [{ role: 'user', content: 'hello, 12+30=?' }],
  max_tokens: 150,
  seed: 5,
  stream: true,
  tidar: { ignore_eos: true },
};

async function leave(): Promise<void> {
  const controller = new AbortController();
  const response = await client.post(ask, controller.signal);
  await response.body?.getReader().read();
  controller.abort();
}

describe('a backend whose clock is minutes ahead', () => {
  it('tells the ledger what it generated', async () => {
    site.setClock(240_000);
    await sleep(200);
    await leave();
    const record = await client.lastRequest(({ state }) => state === 'settled');
    expect(record).toMatchObject({ finish_reason: 'cancelled', estimated: false });
    site.setClock(0);
  });
});

describe('an answer that ended early, since its client left for good', () => {
  it('is there as far as it came, and then says that it can never be whole', async () => {
    await leave();
    const record = await client.lastRequest(({ state }) => state === 'settled');
    expect(record).toMatchObject({ finish_reason: 'cancelled' });
    const headers = { authorization: `Bearer ${client.key}` };
    const again = await fetch(`${edge.url}/v1/responses/${record.id}?stream=true`, { headers });
    const { chunks, isDone } = await readChunks(again);
    expect(isDone).toBe(false);
    expect(chunks.at(-1)?.error).toMatchObject({ code: 'conflict' });
    const whole = await readChunks(await client.post(ask));
    const text = textOfChunks(chunks.filter((chunk: Chunk) => chunk.error === undefined));
    expect(text).not.toBe('');
    expect(textOfChunks(whole.chunks).startsWith(text)).toBe(true);
    expect(await client.lastRequest(() => true)).toMatchObject({ completion_tokens: 150 });
  });
});

describe('an answer whose edge died before the ledger heard that it had begun', () => {
  it('is whole for whoever asks again, and its prompt is billed', async () => {
    const whole = await readChunks(await client.post(ask));
    const { prompt_tokens: promptTokens } = await client.lastRequest(({ state }) => state === 'settled');
    const post = (): Promise<Response> =>
      fetch(`${edge.url}/v1/chat/completions`, {
        method: 'POST',
        headers: {
          authorization: `Bearer ${client.key}`,
          'content-type': 'application/json',
          'idempotency-key': 'k',
        },
        body: JSON.stringify(ask),
      });
    // The backend has the request after this, and the edge its answer only after twice this.
    site.wire.slowDown(() => SLOW_MS);
    const first = post().catch(() => undefined);
    await sleep(1.5 * SLOW_MS);
    await edge.killAll();
    await first;
    site.wire.heal();
    edge = await startEdge();
    client = new RawClient(edge.url, client.key);
    const again = await readChunks(await post());
    expect(again.isDone).toBe(true);
    expect(textOfChunks(again.chunks)).toBe(textOfChunks(whole.chunks));
    const record = await client.lastRequest(({ state }) => state === 'settled');
    expect(record).toMatchObject({ completion_tokens: 150, prompt_tokens: promptTokens, estimated: false });
  });
});

describe('an answer whose journal is lost', () => {
  it('is said to be lost, and not to be tried again', async () => {
    await readChunks(await client.post(ask));
    const { id } = await client.lastRequest(({ state }) => state === 'settled');
    await site.down('SIGKILL');
    site.loseJournal();
    await site.up();
    const headers = { authorization: `Bearer ${client.key}` };
    const again = await fetch(`${edge.url}/v1/responses/${id}?stream=true`, { headers });
    expect(again.status).toBe(404);
    expect(await again.json()).toMatchObject({ error: { code: 'not_found' } });
  });
});

describe('a backend that still loads its model', () => {
  it('is not there yet, and of no other version', async () => {
    const { backends } = (await (await fetch(`${edge.url}/health`)).json()) as {
      backends: { status: string }[];
    };
    expect(backends.map(({ status }) => status).toSorted()).toEqual(['ok', 'unreachable']);
  });
});

describe('who takes an answer over', () => {
  it('is not settled by a journal that was asked before he came', () => {
    const sql = newNodeLedger();
    admitTo(sql, 'a', { backend: 'http://one', maxTokens: 100, contextLength: 1_000, sliceTokens: 50 });
    const row = proveProgress(sql, 'a', progressOf([0]), NOON) as RequestRow;
    startRequest(sql, row, { promptTokens: 10, cachedTokens: 0 });
    leaveReader(sql, 'a', progressOf([5]), { tokensHash: null, askAtMs: NOON + 1_000 });
    const [question] = dueQuestions(sql, NOON + 1_000);
    attachReader(sql, 'a');
    putOffQuestion(sql, 'a', NOON + 1_000 + GRACE_MS);
    const word: JournalWord = {
      answer: {
        ...{ request_id: 'a', attempt: 0, state: 'cancelled', model: 'demo', fingerprint: 'fp', seed: '1' },
        ...{
          prompt_token_ids: [],
          token_ids: null,
          token_counts: [7],
          tokens_hash: null,
          finish_reasons: [null],
        },
        usage: { prompt_tokens: 10, completion_tokens: 7, cached_tokens: 0, num_forward_passes: 3 },
      },
    };
    const hear = (nowMs: number) => hearJournal(sql, question!, word, { nowMs, graceMs: GRACE_MS });
    expect(hear(NOON + 1_100)).toBeUndefined();
    expect(dueQuestions(sql, NOON + GRACE_MS)).toEqual([]);
    // He has gone without a word: then it is asked again.
    expect(dueQuestions(sql, NOON + 1_000 + GRACE_MS)).toHaveLength(1);
    expect(hear(NOON + 1_000 + GRACE_MS)).toMatchObject({ completionTokens: 7, finishReason: 'cancelled' });
  });
});
