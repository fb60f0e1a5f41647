import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadModelFolder } from '../model/folder.ts';
import type { ForwardOutput, ModelSession } from './device.ts';
import { DEVICES, openModel } from './open.ts';
import { batchOf, causalRows } from './testing.ts';

interface Expected {
  causalLogits: { tokens: number[]; logits: number[][] };
  step: { prefix: number[]; rows: number[]; positions: number[]; mask: number[][]; logits: number[][] };
}

const CAPACITY = 96;
const TOLERANCE = 2e-4;

function worstError(found: ForwardOutput, expected: number[][]): number {
  const errors = expected.map((row, index) => {
    const logits = found.logits(index);
    expect(logits.length).toBe(row.length);
    return Math.max(...row.map((value, id) => Math.abs(value - logits[id]!)));
  });
  return Math.max(...errors);
}

const CASES = ['llama-tidar', 'qwen2-tidar', 'qwen3-tidar', 'nemotron-tidar'].flatMap((name) =>
  DEVICES.map((device) => ({ name, device })),
);

describe.each(CASES)('$name on $device against the independent oracle', ({ name, device }) => {
  const folder = `test/fixtures/${name}`;
  const expected = JSON.parse(readFileSync(`${folder}/expected.json`, 'utf8')) as Expected;
  let session: ModelSession;
  beforeAll(async () => {
    session = await openModel(loadModelFolder(folder), { numThreads: 1, device });
  });
  afterAll(() => session.dispose());

  it('computes the causal pass', async () => {
    const cache = session.createCache(1, CAPACITY);
    const { tokens, logits } = expected.causalLogits;
    const output = await session.run(cache, batchOf(CAPACITY, [causalRows(tokens)]));
    expect(worstError(output, logits)).toBeLessThan(TOLERANCE);
  });

  it('computes the step’s rows, positions and mask on a cached prefix', async () => {
    const cache = session.createCache(1, CAPACITY);
    const { prefix, rows, positions, mask, logits } = expected.step;
    await session.run(cache, batchOf(CAPACITY, [causalRows(prefix)]));
    const step = { tokenIds: rows, positions, writeIndex: prefix.length, mask };
    const output = await session.run(cache, batchOf(CAPACITY, [step]));
    expect(worstError(output, logits)).toBeLessThan(TOLERANCE);
  });
});
