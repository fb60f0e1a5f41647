import { readFileSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { loadModelFolder } from './folder.ts';

const MODELS = new URL('../../models/', import.meta.url);
const NAMES = ['demo', 'demo-ar-only', 'demo-draft'] as const;
const MAX_MIB = 32;

const pathOf = (name: string, file = ''): string => fileURLToPath(new URL(`${name}/${file}`, MODELS));
const read = (name: string, file: string): string => readFileSync(pathOf(name, file), 'utf8');

describe('the shipped models', () => {
  it('have one tokenizer, byte for byte, so that one can draft for another and their texts compare', () => {
    for (const name of NAMES) {
      expect(read(name, 'tokenizer.json')).toBe(read('demo', 'tokenizer.json'));
      expect(read(name, 'tokenizer_config.json')).toBe(read('demo', 'tokenizer_config.json'));
    }
  });

  it('are a TiDAR model, an AR-only one of the same shape, and a draft model that is smaller', () => {
    const [demo, arOnly, draft] = NAMES.map((name) => loadModelFolder(pathOf(name)));
    expect(demo!.config.tidar).toMatchObject({ blockSize: 16 });
    const shapes = [demo!, arOnly!].map(({ tensors }) =>
      Object.fromEntries([...tensors].map(([name, { shape }]) => [name, shape])),
    );
    expect(shapes[1]).toEqual(shapes[0]);
    expect(draft!.config.vocabSize).toBe(demo!.config.vocabSize);
    const sizeOf = (name: string): number => statSync(pathOf(name, 'model.safetensors')).size;
    expect(sizeOf('demo-draft')).toBeLessThan(sizeOf('demo') / 8);
  });

  it(`take no more than ${MAX_MIB} MiB together`, () => {
    const sizes = NAMES.map((name) => statSync(pathOf(name, 'model.safetensors')).size);
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThan(MAX_MIB * 2 ** 20);
  });

  it.each(NAMES)(
    'each has a card, which tells the command that made its data with this tokenizer: %s',
    (name) => {
      expect(read(name, 'README.md')).toContain(
        'npm run data -- --tokenizer gpu-backend/models/demo/tokenizer.json',
      );
    },
  );
});
