import { cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import type { TidarError } from '@tidar/shared/errors.ts';
import { afterEach, describe, expect, it } from 'vitest';
import { PLAIN_SAMPLING } from '../engine/sampling/settings.ts';
import { loadModelFolder } from '../model/folder.ts';
import { EngineClient } from './engine-client.ts';
import type { EngineClientOptions } from './engine-client.ts';
import type { EngineEvent, EngineRequest } from './engine-messages.ts';
import { generate } from './testing/engine-reader.ts';

const PATH = fileURLToPath(new URL('../../../test/fixtures/llama-tidar', import.meta.url));
const { prompt, greedy } = JSON.parse(readFileSync(`${PATH}/expected.json`, 'utf8')) as {
  prompt: number[];
  greedy: number[];
};

function request(maxTokens: number): EngineRequest {
  return {
    stop: [],
    numChoices: 1,
    tenant: 'a',
    generate: {
      promptIds: prompt,
      maxTokens,
      decoder: { type: 'ar' },
      sampling: PLAIN_SAMPLING,
      stopTokenIds: [],
    },
  };
}

async function readAll(events: AsyncIterable<EngineEvent>): Promise<number[]> {
  const tokenIds: number[] = [];
  for await (const event of events) if (event.type === 'step') tokenIds.push(...event.tokenIds);
  return tokenIds;
}

interface Running {
  readonly client: EngineClient;
  /** Every thread that was started, the last one last. */
  readonly workers: Worker[];
  readonly fatal: TidarError[];
}

let running: Running | undefined;
afterEach(() => running?.client.close());

function start(options: Partial<EngineClientOptions> = {}): Running {
  const workers: Worker[] = [];
  const fatal: TidarError[] = [];
  const client = new EngineClient({
    folder: loadModelFolder(PATH),
    numThreads: 1,
    maxConcurrent: 2,
    maxWaiting: 1,
    prefixCacheBytes: 0,
    sharePrefixes: false,
    log: () => undefined,
    onFatal: (error) => fatal.push(error),
    startWorker: (workerData) => {
      const worker = new Worker(new URL('./engine-worker.ts', import.meta.url), { workerData });
      workers.push(worker);
      return worker;
    },
    ...options,
  });
  client.start();
  running = { client, workers, fatal };
  return running;
}

describe('the engine off the main thread', () => {
  it('names what it runs on, and generates the golden tokens', async () => {
    const { client } = start();
    expect(await client.ready).toMatch(/^onnxruntime \d+\.\d+\.\d+, cpu, float32, /);
    expect(await readAll(generate(client, request(greedy.length)))).toEqual(greedy);
    expect([client.numRunning, client.numWaiting]).toEqual([0, 0]);
  });

  it('runs a request no further than its reader has read, and goes on as he does', async () => {
    const { client } = start({ maxConcurrent: 1 });
    await client.ready;
    const stalled = generate(client, request(200));
    await stalled.next();
    const other = readAll(generate(client, request(200)));
    await sleep(500);
    expect([client.numRunning, client.numWaiting]).toEqual([1, 1]);
    const tokenIds = await readAll(stalled);
    expect(tokenIds.length).toBeGreaterThan(64);
    expect(await other).toEqual(tokenIds);
  });

  it('holds nobody up by a reader who stopped reading', async () => {
    const { client } = start();
    await client.ready;
    const stalled = generate(client, request(200));
    await stalled.next();
    expect(await readAll(generate(client, request(greedy.length)))).toEqual(greedy);
    expect(client.numRunning).toBe(1);
    await stalled.return();
  });

  it('waits for the reader: a bounded buffer never overflows, however slow he is', async () => {
    const { client } = start();
    await client.ready;
    const tokenIds: number[] = [];
    for await (const event of generate(client, request(40))) {
      await sleep(2);
      if (event.type === 'step') tokenIds.push(...event.tokenIds);
    }
    expect(tokenIds.slice(0, greedy.length)).toEqual(greedy);
  });

  it('refuses what neither runs nor may wait, at once', async () => {
    const { client } = start();
    await client.ready;
    const open = [1, 2, 3].map(() => generate(client, request(200)));
    expect(() => generate(client, request(1))).toThrow(/limit of 2 running and 1 waiting/);
    await Promise.all(open.map((events) => readAll(events)));
    expect(await readAll(generate(client, request(1)))).toEqual(greedy.slice(0, 1));
  });

  it('gives a cancelled request the reason of its signal, and its slot to the next one', async () => {
    const { client } = start({ maxConcurrent: 1 });
    await client.ready;
    const controller = new AbortController();
    const events = generate(client, request(200), controller.signal);
    await events.next();
    controller.abort();
    await expect(readAll(events)).rejects.toMatchObject({ code: 'cancelled' });
    expect(await readAll(generate(client, request(3)))).toEqual(greedy.slice(0, 3));
  });

  it('cancels by leaving the loop', async () => {
    const { client } = start({ maxConcurrent: 1 });
    await client.ready;
    for await (const event of generate(client, request(200))) if (event.type === 'step') break;
    expect(await readAll(generate(client, request(3)))).toEqual(greedy.slice(0, 3));
  });
});

describe('a crash of the engine', () => {
  /** Ends the thread while it waits for credits: in the middle of a forward pass onnxruntime would abort the process. */
  async function crash({ client, workers }: Running): Promise<AsyncIterableIterator<EngineEvent>> {
    const open = generate(client, request(200));
    await open.next();
    await sleep(300);
    await workers.at(-1)?.terminate();
    return open;
  }

  it('ends every open request with an internal error that may be retried, and starts again once', async () => {
    const system = start();
    await system.client.ready;
    const open = await crash(system);
    await expect(readAll(open)).rejects.toMatchObject({ code: 'internal', retryable: true });
    expect(() => generate(system.client, request(1))).toThrow(/being loaded/);
    while (system.client.runtime === undefined) await sleep(50);
    expect(await readAll(generate(system.client, request(greedy.length)))).toEqual(greedy);
    expect(system.fatal).toEqual([]);
  });

  it('starts again on the device that it found at first', async () => {
    const devices: unknown[] = [];
    const workers: Worker[] = [];
    const startWorker: EngineClientOptions['startWorker'] = (workerData) => {
      devices.push(workerData.device);
      const worker = new Worker(new URL('./engine-worker.ts', import.meta.url), { workerData });
      workers.push(worker);
      return worker;
    };
    const { client } = start({ device: 'auto', startWorker });
    await client.ready;
    await workers[0]?.terminate();
    while (client.runtime !== undefined) await sleep(10);
    while (client.runtime === undefined) await sleep(50);
    expect(devices).toEqual(['auto', 'c-api']);
  });

  it('is fatal the second time', async () => {
    const system = start();
    await system.client.ready;
    await expect(readAll(await crash(system))).rejects.toMatchObject({ code: 'internal' });
    while (system.client.runtime === undefined) await sleep(50);
    await expect(readAll(await crash(system))).rejects.toMatchObject({ code: 'internal' });
    expect(system.fatal).toMatchObject([{ message: 'The engine crashed twice within five minutes.' }]);
    expect(system.workers).toHaveLength(2);
  });
});

describe('a model that cannot be opened', () => {
  it('is fatal at once, with a sentence', async () => {
    const root = mkdtempSync(join(tmpdir(), 'tidar-gone-'));
    cpSync(PATH, root, { recursive: true });
    const folder = loadModelFolder(root);
    rmSync(root, { recursive: true });
    const system = start({ folder });
    await expect(system.client.ready).rejects.toMatchObject({ code: 'model_folder_invalid' });
    expect(system.fatal).toHaveLength(1);
  });
});
