import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadModelFolder } from '../model/folder.ts';
import { openModel } from './node-binding.ts';
import type { KvCache, ModelSession } from './device.ts';

interface Expected {
  causalLogits: { tokens: number[]; logits: number[][] };
  step: { prefix: number[]; rows: number[]; positions: number[]; mask: number[][]; logits: number[][] };
}

const CAPACITY = 48;
const TOLERANCE = 2e-4;

function indices(length: number): Int32Array {
  return Int32Array.from({ length }, (_, index) => index);
}

/** Runs rows 0 … n−1 of a plain causal pass into the cache's first columns. */
function runCausal(session: ModelSession, cache: KvCache, tokens: readonly number[]): Promise<Float32Array> {
  const mask = new Uint8Array(tokens.length * cache.capacity);
  tokens.forEach((_, row) => mask.fill(1, row * cache.capacity, row * cache.capacity + row + 1));
  const all = indices(tokens.length);
  const rows = { tokenIds: Int32Array.from(tokens), positions: all, writeIndex: 0, mask, logitRows: all };
  return session.run(cache, rows);
}

function runStep(session: ModelSession, cache: KvCache, step: Expected['step']): Promise<Float32Array> {
  const mask = new Uint8Array(step.rows.length * cache.capacity);
  step.mask.forEach((sees, row) => mask.set(sees, row * cache.capacity));
  return session.run(cache, {
    tokenIds: Int32Array.from(step.rows),
    positions: Int32Array.from(step.positions),
    writeIndex: step.prefix.length,
    mask,
    logitRows: indices(step.rows.length),
  });
}

function worstError(found: Float32Array, expected: number[][]): number {
  const wanted = expected.flat();
  expect(found.length).toBe(wanted.length);
  return Math.max(...wanted.map((value, index) => Math.abs(value - found[index]!)));
}

describe.each(['llama-tidar', 'qwen2-tidar', 'qwen3-tidar'])('%s against the independent oracle', (name) => {
  const folder = `test/fixtures/${name}`;
  const expected = JSON.parse(readFileSync(`${folder}/expected.json`, 'utf8')) as Expected;
  let session: ModelSession;
  beforeAll(async () => {
    session = await openModel(loadModelFolder(folder), { numThreads: 1 });
  });
  afterAll(() => session.dispose());

  it('computes the causal pass', async () => {
    const cache = session.createCache(CAPACITY);
    const logits = await runCausal(session, cache, expected.causalLogits.tokens);
    expect(worstError(logits, expected.causalLogits.logits)).toBeLessThan(TOLERANCE);
  });

  it('computes the step’s rows, positions and mask on a cached prefix', async () => {
    const cache = session.createCache(CAPACITY);
    await runCausal(session, cache, expected.step.prefix);
    const logits = await runStep(session, cache, expected.step);
    expect(worstError(logits, expected.step.logits)).toBeLessThan(TOLERANCE);
  });

  it('computes the same bits after the cache has grown, whatever stands in its scratch columns', async () => {
    const cache = session.createCache(CAPACITY);
    await runCausal(session, cache, expected.step.prefix);
    const before = Float32Array.from(await runStep(session, cache, expected.step));
    // The step's rows are stale scratch now; growing keeps them.
    cache.grow(2 * CAPACITY);
    expect(await runStep(session, cache, expected.step)).toEqual(before);
  });

  it('refuses rows that no model could run, naming what is wrong', async () => {
    const cache = session.createCache(CAPACITY);
    const { step } = expected;
    await expect(runStep(session, cache, { ...step, prefix: new Array(CAPACITY) })).rejects.toThrow(
      /columns/,
    );
    await expect(runStep(session, cache, { ...step, rows: step.rows.map(() => 48) })).rejects.toThrow(
      /outside the vocabulary/,
    );
    await expect(
      runStep(session, cache, { ...step, positions: step.positions.map(() => 256) }),
    ).rejects.toThrow(/outside the model's 256/);
    await expect(runCausal(session, cache, [5])).rejects.toThrow(/at least 2/);
  });
});
