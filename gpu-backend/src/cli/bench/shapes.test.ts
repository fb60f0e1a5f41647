import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadModelFolder, readTensor } from '../../model/folder.ts';
import { temporaryFolder } from '../../model/testing/temporary-folder.ts';
import { countParameters, makeShape, parseShapeName, SHAPES } from './shapes.ts';
import type { Shape } from './shapes.ts';

const TINY: Shape = {
  hiddenSize: 64,
  numLayers: 2,
  numHeads: 4,
  numKeyValueHeads: 2,
  intermediateSize: 96,
  vocabSize: 512,
  blockSize: 8,
};
const bytes = (folder: string): Buffer => readFileSync(join(folder, 'model.safetensors'));

describe('shapes', () => {
  it('have the sizes that their names say', () => {
    expect(countParameters(SHAPES['100m'])).toBe(88_099_584);
    expect(countParameters(SHAPES['400m']) / 1e6).toBeCloseTo(398.5, 1);
    expect(SHAPES.vocab131k.vocabSize).toBe(131_072);
    expect(parseShapeName('400m')).toBe('400m');
    expect(() => parseShapeName('7b')).toThrowError('--shape must be 100m, 400m, vocab131k; got "7b".');
  });

  it('are whole model folders of well-scaled float32 weights', () => {
    const path = join(temporaryFolder(), 'tiny');
    makeShape(path, TINY, 1);
    const folder = loadModelFolder(path);
    expect(folder.config).toMatchObject({
      hiddenSize: 64,
      eosTokenIds: [],
      tidar: { maskTokenId: 511, blockSize: 8 },
    });
    let numParameters = 0;
    for (const { name, dtype, shape } of folder.tensors.values()) {
      expect(dtype).toBe('F32');
      const data = readTensor(folder, name);
      numParameters += data.length;
      const mean = data.reduce((sum, x) => sum + x, 0) / data.length;
      const deviation = Math.sqrt(data.reduce((sum, x) => sum + (x - mean) ** 2, 0) / data.length);
      if (shape.length === 1) expect({ mean, deviation }).toEqual({ mean: 1, deviation: 0 });
      else {
        const expected = /(o_proj|down_proj)/.test(name) ? 0.01 : 0.02;
        expect(mean / expected).toBeCloseTo(0, 0);
        expect(deviation / expected).toBeCloseTo(1, 1);
      }
    }
    expect(numParameters).toBe(countParameters(TINY));
  });

  it('are the same bytes for the same seed, and others for another', () => {
    const root = temporaryFolder();
    makeShape(join(root, 'a'), TINY, 1);
    makeShape(join(root, 'b'), TINY, 1);
    makeShape(join(root, 'c'), TINY, 2);
    expect(bytes(join(root, 'a')).equals(bytes(join(root, 'b')))).toBe(true);
    expect(bytes(join(root, 'a')).equals(bytes(join(root, 'c')))).toBe(false);
  });

  it('are made once, and again where another is wanted', () => {
    const path = join(temporaryFolder(), 'tiny');
    const made = (shape: Shape, seed: number): number => {
      makeShape(path, shape, seed);
      return statSync(join(path, 'model.safetensors')).ino;
    };
    const first = made(TINY, 1);
    expect(made(TINY, 1)).toBe(first);
    made(TINY, 3);
    expect(bytes(path).includes('"seed":"3"')).toBe(true);
    made({ ...TINY, numLayers: 3 }, 3);
    expect(loadModelFolder(path).config.numLayers).toBe(3);
  });
});
