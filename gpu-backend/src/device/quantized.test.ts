import { readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { loadModelFolder, readTensor } from '../model/folder.ts';
import type { ModelFolder } from '../model/folder.ts';
import { QUANTIZED_FOLDER } from '../model/quantization/file.ts';
import { packRows, unpackRows } from '../model/quantization/pack.ts';
import { productShapes, QUANTIZATIONS } from '../model/quantization/scheme.ts';
import type { Quantization } from '../model/quantization/scheme.ts';
import { writeSafetensors } from '../model/safetensors-writer.ts';
import { nameInFile } from '../model/tensor-names.ts';
import { copyOfFixture, temporaryFolder } from '../model/testing/temporary-folder.ts';
import { DEVICES, openModel } from './open.ts';
import { batchOf, causalRows, largestDifference, tokensOf } from './testing.ts';

const CAPACITY = 64;
const NUM_ROWS = 40;
const FIXTURES = ['llama-tidar', 'qwen2-tidar', 'qwen3-tidar', 'nemotron-tidar'] as const;
/** Root mean square of logits' differences ÷ that of the logits: twice what was measured. */
const LARGEST_SHARE: Readonly<Record<Quantization, number>> = { int8: 0.04, int4: 0.35 };

/** Logits of a causal pass over tokens of the fixtures' vocabulary, in parts of so many rows. */
async function logitsOf(
  folder: ModelFolder,
  device: (typeof DEVICES)[number],
  sizes: readonly number[] = [NUM_ROWS],
): Promise<number[][]> {
  const session = await openModel(folder, { numThreads: 1, device });
  const cache = session.createCache(1, CAPACITY);
  const tokens = tokensOf(NUM_ROWS);
  const logits: number[][] = [];
  for (let at = 0, part = 0; at < NUM_ROWS; part += 1) {
    const ids = tokens.slice(at, at + (sizes[part % sizes.length] ?? NUM_ROWS));
    const output = await session.run(cache, batchOf(CAPACITY, [causalRows(ids, at)]));
    logits.push(...ids.map((_, index) => [...output.logits(index)]));
    at += ids.length;
  }
  cache.dispose();
  await session.dispose();
  return logits;
}

const rootMeanSquare = (rows: readonly (readonly number[])[]): number => {
  const all = rows.flat();
  return Math.sqrt(all.reduce((sum, value) => sum + value * value, 0) / all.length);
};
const differences = (left: number[][], right: number[][]): number[][] =>
  left.map((row, at) => row.map((value, id) => value - (right[at]?.[id] ?? NaN)));

/** A copy of a fixture whose weights are those that the packed ones stand for, in float32. */
function unpackedFixture(name: string, quantization: Quantization): ModelFolder {
  const folder = copyOfFixture(name);
  const model = loadModelFolder(folder);
  const shapes = productShapes(model.config, quantization);
  const tensors = [...model.tensors.values()].map(({ name: tensor, shape }) => {
    const values = readTensor(model, tensor);
    const product = shapes.find(({ weights }) => weights.includes(tensor));
    const data =
      product === undefined
        ? values
        : unpackRows(
            packRows(values, product.numInputs, product.numBits),
            product.numInputs,
            product.numBits,
          );
    return { name: nameInFile(model.config.architecture, tensor), dtype: 'F32' as const, shape, data };
  });
  writeSafetensors(path.join(folder, 'model.safetensors'), tensors);
  return loadModelFolder(folder);
}

const CASES = FIXTURES.flatMap((name) => QUANTIZATIONS.map((quantize) => ({ name, quantize })));

describe.each(CASES)('$name in $quantize', ({ name, quantize }) => {
  const folder = () => loadModelFolder(copyOfFixture(name), { quantize });

  it('has logits near those of the model as it is', async () => {
    const plain = await logitsOf(loadModelFolder(copyOfFixture(name)), 'c-api');
    const quantized = await logitsOf(folder(), 'c-api');
    const share = rootMeanSquare(differences(quantized, plain)) / rootMeanSquare(plain);
    expect(share).toBeGreaterThan(1e-4);
    expect(share).toBeLessThan(LARGEST_SHARE[quantize]);
  });

  it('computes the same bits whichever rows run together, on every device', async () => {
    const model = folder();
    const whole = await logitsOf(model, 'c-api');
    for (const device of DEVICES)
      for (const sizes of [[2, 3, 5], [17, 2, 9], [NUM_ROWS]])
        expect(await logitsOf(model, device, sizes)).toEqual(whole);
  });
});

describe.each(QUANTIZATIONS)('weights in %s', (quantize) => {
  it('stand for the weights that a float32 model of the same numbers has, but for rows in 8 bits', async () => {
    const unpacked = unpackedFixture('llama-tidar', quantize);
    const quantized = loadModelFolder(copyOfFixture('llama-tidar'), { quantize });
    const expected = await logitsOf(unpacked, 'c-api');
    const found = await logitsOf(quantized, 'c-api');
    expect(largestDifference(found, expected)).toBeLessThan(0.3);
    expect(rootMeanSquare(differences(found, expected)) / rootMeanSquare(expected)).toBeLessThan(0.03);
  });

  it('are packed once, and again only when the weights are others', async () => {
    const copy = copyOfFixture('llama-tidar');
    const file = path.join(copy, QUANTIZED_FOLDER, `${quantize}.safetensors`);
    const quantized = loadModelFolder(copy, { quantize });
    // Another fingerprint: nobody goes on with the text of the model as it is.
    expect(quantized.contentHash).not.toBe(loadModelFolder(copy).contentHash);
    const before = await logitsOf(quantized, 'c-api');
    const { ino, mtimeMs } = statSync(file);
    expect(await logitsOf(loadModelFolder(copy, { quantize }), 'c-api')).toEqual(before);
    expect(statSync(file)).toMatchObject({ ino, mtimeMs });
    const model = loadModelFolder(copy);
    const doubled = [...model.tensors.values()].map(({ name, shape }) => ({
      ...{ name, dtype: 'F32' as const, shape },
      data: readTensor(model, name).map((value) => 2 * value),
    }));
    writeSafetensors(path.join(copy, 'model.safetensors'), doubled);
    expect(await logitsOf(loadModelFolder(copy, { quantize }), 'c-api')).not.toEqual(before);
    expect(readdirSync(path.join(copy, QUANTIZED_FOLDER))).toEqual([`${quantize}.safetensors`]);
    expect(statSync(file).ino).not.toBe(ino);
  });
});

describe('a model folder that takes no files', () => {
  it('is quantized all the same, and nothing is left behind', async () => {
    const copy = copyOfFixture('llama-tidar');
    const model = loadModelFolder(copy, { quantize: 'int4' });
    const expected = await logitsOf(model, 'c-api');
    // A file where the folder of packed weights would be: root can't write into it either.
    rmSync(path.join(copy, QUANTIZED_FOLDER), { recursive: true });
    writeFileSync(path.join(copy, QUANTIZED_FOLDER), '');
    const temporary = temporaryFolder();
    vi.stubEnv('TMPDIR', temporary);
    try {
      expect(await logitsOf(model, 'c-api')).toEqual(expected);
    } finally {
      vi.unstubAllEnvs();
    }
    expect(readdirSync(temporary)).toEqual([]);
  });
});
