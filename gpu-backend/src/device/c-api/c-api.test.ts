import { spawnSync } from 'node:child_process';
import { truncateSync } from 'node:fs';
import path from 'node:path';
import { Worker } from 'node:worker_threads';
import { TidarError } from '@tidar/shared/errors.ts';
import { describe, expect, it } from 'vitest';
import { loadModelFolder } from '../../model/folder.ts';
import { copyOfFixture } from '../../model/testing/temporary-folder.ts';
import { batchOf, causalRows, tokensOf } from '../testing.ts';
import { CApiCache } from './cache.ts';
import { withDenormalsAsZero } from './denormals.ts';
import { ortApi } from './library.ts';
import { cancelRun, openCApiSession } from './session.ts';
import { attempt, result } from './status.ts';

const FOLDER = 'test/fixtures/llama-tidar';
const CAPACITY = 256;

/** Runs a function's body in another thread, with the modules of this folder, until it returns. */
async function inThread(body: string, data: unknown): Promise<unknown> {
  const folder = JSON.stringify(import.meta.dirname);
  const source = `
    const { parentPort, workerData } = require('node:worker_threads');
    const load = (name) => import(${folder} + '/' + name);
    (async () => { ${body} })().then((value) => parentPort.postMessage(value));
  `;
  const worker = new Worker(source, { eval: true, workerData: data });
  try {
    return await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
  } finally {
    await worker.terminate();
  }
}

describe('onnxruntime’s C API', () => {
  it('tells a failed call in onnxruntime’s own words', () => {
    const options = result('CreateSessionOptions');
    expect(attempt('SetSessionGraphOptimizationLevel', options, 12345)).toBe(
      'graph_optimization_level is not valid',
    );
    expect(attempt('SetSessionGraphOptimizationLevel', options, 99)).toBeUndefined();
    ortApi().release.SessionOptions(options);
  });

  it('tells why a model can’t be loaded to the operator, and which one to everyone', async () => {
    const folder = copyOfFixture('llama-tidar');
    const model = loadModelFolder(folder);
    truncateSync(path.join(folder, 'model.safetensors'), 100);
    const error: unknown = await openCApiSession(model, { numThreads: 1 }).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(TidarError);
    expect(error).toMatchObject({ code: 'model_folder_invalid' });
    expect((error as TidarError).internal).toMatch(/external|offset|length|bounds/i);
  });

  it('ends a run that another thread cancels, and runs on', async () => {
    const session = await openCApiSession(loadModelFolder(FOLDER), { numThreads: 1 });
    const cache = session.createCache(1, CAPACITY);
    const batch = batchOf(CAPACITY, [causalRows(tokensOf(9))]);
    const before = [...(await session.run(cache, batch)).logits(8)];
    await inThread(`(await load('session.ts')).cancelRun(workerData)`, session.cancelAddress);
    await expect(session.run(cache, batch)).rejects.toMatchObject({ code: 'cancelled' });
    expect([...(await session.run(cache, batch)).logits(8)]).toEqual(before);
    cancelRun(session.cancelAddress);
    await expect(session.run(cache, batch)).rejects.toMatchObject({ code: 'cancelled' });
    cache.dispose();
    await session.dispose();
  });

  it('gives the same bits in two threads at once', async () => {
    const body = `
      const { openCApiSession } = await load('session.ts');
      const { batchOf, causalRows, tokensOf } = await load('../testing.ts');
      const { loadModelFolder } = await load('../../model/folder.ts');
      const session = await openCApiSession(loadModelFolder(workerData), { numThreads: 1 });
      const cache = session.createCache(1, 64);
      let logits = [];
      for (let step = 0; step < 300; step += 1) {
        logits = (await session.run(cache, batchOf(64, [causalRows(tokensOf(2 + (step % 30)))]))).logits(1).slice();
      }
      cache.dispose();
      await session.dispose();
      return logits;
    `;
    const [first, second] = await Promise.all([inThread(body, FOLDER), inThread(body, FOLDER)]);
    expect(first).toBeInstanceOf(Float32Array);
    expect(second).toEqual(first);
  });

  it('keeps its libraries loaded when garbage is collected', () => {
    const script = `
      const { openCApiSession } = await import('./gpu-backend/src/device/c-api/session.ts');
      const { batchOf, causalRows } = await import('./gpu-backend/src/device/testing.ts');
      const { loadModelFolder } = await import('./gpu-backend/src/model/folder.ts');
      const session = await openCApiSession(loadModelFolder('${FOLDER}'), { numThreads: 2 });
      for (let round = 0; round < 4; round += 1) {
        await session.run(session.createCache(1, 64), batchOf(64, [causalRows([1, 2, 3])]));
        globalThis.gc();
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
      console.log('alive');
    `;
    const child = spawnSync(process.execPath, ['--expose-gc', '--input-type=module', '--eval', script], {
      encoding: 'utf8',
    });
    expect(child).toMatchObject({ status: 0, signal: null, stdout: 'alive\n' });
  });

  it('keeps what it binds of few ranges of slots, and runs those that it forgot as before', async () => {
    const session = await openCApiSession(loadModelFolder(FOLDER), { numThreads: 1 });
    const [numSlots, capacity] = [10, 32];
    const cache = session.createCache(numSlots, capacity);
    if (!(cache instanceof CApiCache)) throw new Error('not a cache of this device');
    const run = async (firstSlot: number, numOfRange: number): Promise<number[]> => {
      const slots = Array.from({ length: numOfRange }, () => causalRows(tokensOf(4)));
      return [...(await session.run(cache, { ...batchOf(capacity, slots), firstSlot })).logits(3)];
    };
    const before = await run(0, 1);
    for (let first = 0; first < numSlots; first += 1)
      for (let count = 1; first + count <= numSlots; count += 1)
        expect(await run(first, count)).toEqual(before);
    expect(cache.numBoundRanges).toBe(32);
    expect(await run(0, 1)).toEqual(before);
    cache.dispose();
    await session.dispose();
  });

  it('leaves JavaScript’s own denormals alone', () => {
    const smallest = (): number => Number('2e-308') / 4;
    const expected = smallest();
    expect(withDenormalsAsZero(() => 7)).toBe(7);
    expect(() =>
      withDenormalsAsZero(() => {
        throw new Error('within');
      }),
    ).toThrow('within');
    expect(smallest()).toBe(expected);
    expect(expected).toBeGreaterThan(0);
  });

  it('names an object that is used after it was freed', async () => {
    const session = await openCApiSession(loadModelFolder(FOLDER), { numThreads: 1 });
    const cache = session.createCache(1, CAPACITY);
    const batch = batchOf(CAPACITY, [causalRows(tokensOf(4))]);
    cache.dispose();
    cache.dispose();
    await expect(session.run(cache, batch)).rejects.toThrow(/disposed/);
    const other = session.createCache(1, CAPACITY);
    await session.dispose();
    await session.dispose();
    await expect(session.run(other, batch)).rejects.toThrow(/disposed/);
    other.dispose();
  });
});
