import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { TidarError } from '@tidar/shared/errors.ts';
import { describe, expect, it } from 'vitest';
import type { AdapterRows } from '../model/adapter.ts';
import { loadModelFolder, readTensor } from '../model/folder.ts';
import type { FolderOptions, ModelFolder } from '../model/folder.ts';
import type { TensorToWrite } from '../model/safetensors-writer.ts';
import { writeSafetensors } from '../model/safetensors-writer.ts';
import { nameInFile } from '../model/tensor-names.ts';
import {
  changeJson,
  copyOfFixture,
  fixturePath,
  temporaryFolder,
} from '../model/testing/temporary-folder.ts';
import { DEVICES, openModel } from './open.ts';
import type { Device } from './open.ts';
import { batchOf, causalRows, largestDifference, tokensOf } from './testing.ts';

const NUM_ROWS = 9;
const RANK = 3;
const ALPHA = 6;
const MASK = 47;
const PROJECTIONS = ['q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj'];

const noise = (length: number, seed: number): Float32Array =>
  Float32Array.from({ length }, (_, at) => 0.4 * Math.sin(1.7 * at + seed));

/** Low-rank factors for some projections of every layer, as PEFT writes them beside the model or anywhere else. */
function writeAdapter(path: string, model: ModelFolder, projections = PROJECTIONS): string {
  mkdirSync(path, { recursive: true });
  const config = { peft_type: 'LORA', r: RANK, lora_alpha: ALPHA, bias: 'none', fan_in_fan_out: false };
  writeFileSync(join(path, 'adapter_config.json'), JSON.stringify(config));
  const factors = [...model.tensors.values()]
    .filter(({ name }) => projections.some((kind) => name.endsWith(`${kind}.weight`)))
    .flatMap(({ name, shape: [numOutputs = 0, numInputs = 0] }, index): TensorToWrite[] => {
      const stem = `base_model.model.${nameInFile(model.config.architecture, name).replace('.weight', '')}`;
      const [a, b] = [noise(RANK * numInputs, index), noise(RANK * numOutputs, index + 0.5)];
      return [
        { name: `${stem}.lora_A.weight`, dtype: 'F32', shape: [RANK, numInputs], data: a },
        { name: `${stem}.lora_B.weight`, dtype: 'F32', shape: [numOutputs, RANK], data: b },
      ];
    });
  writeSafetensors(join(path, 'adapter_model.safetensors'), factors);
  return path;
}

/** The slow way: a copy of the model whose weights have the factors in them. */
function mergedCopy(name: string, adapterPath: string): ModelFolder {
  const model = loadModelFolder(fixturePath(name), { adapter: adapterPath, adapterRows: 'all' });
  const tensors = [...model.tensors.values()].map(({ name: tensor, shape }): TensorToWrite => {
    const data = Float64Array.from(readTensor(model, tensor));
    const pair = model.adapter?.weights.get(tensor);
    if (pair !== undefined) {
      const read = (ref: typeof pair.a): Float32Array =>
        readTensor({ tensors: new Map([['it', ref]]) }, 'it');
      const [a, b, [numOutputs = 0, numInputs = 0]] = [read(pair.a), read(pair.b), shape];
      for (let out = 0; out < numOutputs; out += 1) {
        for (let at = 0; at < numInputs; at += 1) {
          for (let r = 0; r < RANK; r += 1) {
            data[out * numInputs + at]! += pair.scale * b[out * RANK + r]! * a[r * numInputs + at]!;
          }
        }
      }
    }
    const inFile = nameInFile(model.config.architecture, tensor);
    return { name: inFile, dtype: 'F32', shape, data: Float32Array.from(data) };
  });
  const folder = copyOfFixture(name);
  writeSafetensors(join(folder, 'model.safetensors'), tensors);
  return loadModelFolder(folder);
}

async function logitsOf(folder: ModelFolder, tokenIds: number[], device: Device): Promise<number[][]> {
  const session = await openModel(folder, { numThreads: 1, device });
  const cache = session.createCache(1, 32);
  const output = await session.run(cache, batchOf(32, [causalRows(tokenIds)]));
  const logits = tokenIds.map((_, row) => [...output.logits(row)]);
  cache.dispose();
  await session.dispose();
  return logits;
}

const CASES = ['llama-tidar', 'qwen2-tidar', 'qwen3-tidar', 'nemotron-tidar'].flatMap((name) =>
  DEVICES.map((device) => ({ name, device })),
);

describe.each(CASES)('an adapter of $name on $device', ({ name, device }) => {
  const load = (options: FolderOptions): ModelFolder => loadModelFolder(fixturePath(name), options);
  const tokens = tokensOf(NUM_ROWS);

  it('of all rows computes what merged weights do', async () => {
    const adapter = writeAdapter(temporaryFolder(), load({ adapter: 'none' }));
    const found = await logitsOf(load({ adapter, adapterRows: 'all' }), tokens, device);
    const expected = await logitsOf(mergedCopy(name, adapter), tokens, device);
    expect(largestDifference(found, expected)).toBeLessThan(2e-4);
    const plain = await logitsOf(load({ adapter: 'none' }), tokens, device);
    expect(largestDifference(found, plain)).toBeGreaterThan(0.1);
  });

  it('of one projection alone does too', async () => {
    const adapter = writeAdapter(temporaryFolder(), load({ adapter: 'none' }), ['k_proj']);
    const found = await logitsOf(load({ adapter, adapterRows: 'all' }), tokens, device);
    const expected = await logitsOf(mergedCopy(name, adapter), tokens, device);
    expect(largestDifference(found, expected)).toBeLessThan(2e-4);
  });

  it('of mask rows leaves all others bit for bit as they are without it, in the same pass', async () => {
    const adapter = writeAdapter(temporaryFolder(), load({ adapter: 'none' }));
    const withMasks = [...tokens, MASK, MASK];
    const found = await logitsOf(load({ adapter }), withMasks, device);
    const plain = await logitsOf(load({ adapter: 'none' }), withMasks, device);
    expect(found.slice(0, NUM_ROWS)).toEqual(plain.slice(0, NUM_ROWS));
    const all = await logitsOf(load({ adapter, adapterRows: 'all' }), withMasks, device);
    for (const row of [NUM_ROWS, NUM_ROWS + 1]) {
      expect(largestDifference([found[row]!], [plain[row]!])).toBeGreaterThan(1e-3);
      expect(largestDifference([found[row]!], [all[row]!])).toBeGreaterThan(1e-3);
    }
  });
});

describe('an adapter’s folder', () => {
  const withAdapter = (rows?: AdapterRows): string => {
    const folder = copyOfFixture('nemotron-tidar');
    cpSync(join(fixturePath('nemotron-tidar'), 'linear_spec_lora'), join(folder, 'linear_spec_lora'), {
      recursive: true,
    });
    expect(loadModelFolder(folder, { adapterRows: rows }).adapter?.rows).toBe(rows ?? 'masks');
    return folder;
  };

  it('is used where the model brings it, unless it is declined, and counts in the fingerprint', () => {
    const folder = withAdapter();
    const hashes = [
      loadModelFolder(folder),
      loadModelFolder(folder, { adapter: 'none' }),
      loadModelFolder(folder, { adapterRows: 'all' }),
      loadModelFolder(copyOfFixture('nemotron-tidar')),
    ].map(({ contentHash }) => contentHash);
    expect(new Set(hashes).size).toBe(3);
    expect(hashes[1]).toBe(hashes[3]);
    expect(loadModelFolder(folder).contentHash).toBe(hashes[0]);
    const { weights } = loadModelFolder(folder).adapter!;
    expect([...weights.keys()]).toEqual(
      [0, 1].map((layer) => `model.layers.${layer}.self_attn.o_proj.weight`),
    );
    expect(weights.get('model.layers.1.self_attn.o_proj.weight')!.scale).toBe(4);
  });

  const CONFIG = 'linear_spec_lora/adapter_config.json';
  it.each<[string, (folder: string) => void, string]>([
    [
      'IA3',
      (f) => changeJson(join(f, CONFIG), { peft_type: 'IA3' }),
      `${CONFIG}: peft_type is "IA3", which is not`,
    ],
    [
      'DoRA',
      (f) => changeJson(join(f, CONFIG), { use_dora: true }),
      `${CONFIG}: use_dora is true, which is not`,
    ],
    ['biases', (f) => changeJson(join(f, CONFIG), { bias: 'all' }), `${CONFIG}: bias is "all", which is not`],
    [
      'ranks by layer',
      (f) => changeJson(join(f, CONFIG), { rank_pattern: { o_proj: 8 } }),
      `${CONFIG}: rank_pattern is {"o_proj":8}, which is not`,
    ],
    [
      'another rank than its factors have',
      (f) => changeJson(join(f, CONFIG), { r: 5 }),
      'lora_A.weight has shape [4, 64]; expected [5, 64]',
    ],
    [
      'factors of weights that the model does not have',
      (f) => changeTensorNames(f, (name) => name.replace('layers.1', 'layers.7')),
      'found tensor base_model.model.encoder.layers.7.self_attn.o_proj.lora_A.weight, which fits no weight',
    ],
    [
      'one factor of two',
      (f) => changeTensorNames(f, (name) => (name.includes('lora_B') ? undefined : name)),
      'lora_B.weight is missing; expected one of shape [32, 4].',
    ],
  ])('is refused by name: %s', (_, spoil, sentence) => {
    const folder = withAdapter();
    spoil(folder);
    expect(() => loadModelFolder(folder)).toThrow(TidarError);
    expect(() => loadModelFolder(folder)).toThrow(sentence);
    expect(loadModelFolder(folder, { adapter: 'none' }).adapter).toBeUndefined();
  });
});

function changeTensorNames(folder: string, change: (name: string) => string | undefined): void {
  const path = join(folder, 'linear_spec_lora');
  const { weights } = loadModelFolder(folder).adapter!;
  const tensors = [...weights.values()]
    .flatMap(({ a, b }) => [a, b])
    .flatMap((ref): TensorToWrite[] => {
      const name = change(ref.name);
      const data = readTensor({ tensors: new Map([['it', ref]]) }, 'it');
      return name === undefined ? [] : [{ name, dtype: 'F32', shape: ref.shape, data }];
    });
  writeSafetensors(join(path, 'adapter_model.safetensors'), tensors);
}
