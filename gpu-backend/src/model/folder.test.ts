import { readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { TidarError } from '@tidar/shared/errors.ts';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { expectedTensors } from './config.ts';
import { fingerprint } from './fingerprint.ts';
import { loadModelFolder, readTensor } from './folder.ts';
import { readSafetensorsHeader } from './safetensors.ts';
import type { TensorToWrite } from './safetensors-writer.ts';
import { writeSafetensors } from './safetensors-writer.ts';
import { changeJson, copyOfFixture, fixturePath } from './testing/temporary-folder.ts';
import { TINY_TOKENIZER_CONFIG, tinyTokenizerJson } from './testing/tiny-tokenizer.ts';

function refusal(folder: string): TidarError {
  try {
    loadModelFolder(folder);
  } catch (error) {
    if (error instanceof TidarError) return error;
    throw error;
  }
  throw new Error('the folder was accepted');
}

/** Rewrites a folder's weights after a change to the list of its tensors. */
function changeTensors(folder: string, change: (tensors: TensorToWrite[]) => TensorToWrite[]): void {
  const model = loadModelFolder(folder);
  const tensors = [...model.tensors.values()].map(({ name, shape }): TensorToWrite => {
    return { name, dtype: 'F32', shape, data: readTensor(model, name) };
  });
  writeSafetensors(join(folder, 'model.safetensors'), change(tensors));
}

const makeTensor = (name: string, shape: number[]): TensorToWrite => ({
  name,
  dtype: 'F32',
  shape,
  data: new Float32Array(shape.reduce((product, length) => product * length, 1)),
});

/** Gives a folder the tiny tokenizer, and the model a vocabulary that holds it. */
function addTokenizer(folder: string): void {
  changeJson(join(folder, 'config.json'), { vocab_size: 274, eos_token_id: 2 });
  const config = loadModelConfigOnly(folder);
  const tensors = [...expectedTensors(config)].map(([name, shape]) => makeTensor(name, shape));
  writeSafetensors(join(folder, 'model.safetensors'), tensors);
  writeFileSync(join(folder, 'tokenizer.json'), JSON.stringify(tinyTokenizerJson()));
  writeFileSync(join(folder, 'tokenizer_config.json'), JSON.stringify(TINY_TOKENIZER_CONFIG));
}

function loadModelConfigOnly(folder: string): Parameters<typeof expectedTensors>[0] {
  return { ...loadModelFolder(fixturePath('llama-tidar')).config, vocabSize: vocabSizeOf(folder) };
}

function vocabSizeOf(folder: string): number {
  return (JSON.parse(readFileSync(join(folder, 'config.json'), 'utf8')) as { vocab_size: number }).vocab_size;
}

describe('a golden model folder', () => {
  it.each(['llama-tidar', 'qwen2-tidar', 'qwen3-tidar', 'nemotron-tidar'])(
    '%s loads with every tensor and no tokenizer',
    (name) => {
      const folder = loadModelFolder(fixturePath(name));
      expect(folder.name).toBe(name);
      expect([...folder.tensors.keys()]).toEqual([...expectedTensors(folder.config).keys()]);
      expect(folder.tokenizer).toBeUndefined();
    },
  );

  it('gives a weight as float32, wherever it stands in the file', () => {
    const folder = loadModelFolder(fixturePath('qwen2-tidar'));
    const file = readFileSync(join(folder.path, 'model.safetensors'));
    for (const { name, byteOffset, byteLength } of folder.tensors.values()) {
      const expected = new Float32Array(
        Uint8Array.from(file.subarray(byteOffset, byteOffset + byteLength)).buffer,
      );
      expect(readTensor(folder, name)).toEqual(expected);
    }
  });
});

describe('a model folder of another kind', () => {
  it('may hold float16', () => {
    const folder = copyOfFixture('llama-tidar');
    const exact = readTensor(loadModelFolder(folder), 'model.norm.weight');
    changeTensors(folder, (tensors) => tensors.map((tensor) => ({ ...tensor, dtype: 'F16' })));
    const model = loadModelFolder(folder);
    expect(model.tensors.get('model.norm.weight')?.dtype).toBe('F16');
    const rounded = readTensor(model, 'model.norm.weight');
    expect(Math.max(...rounded.map((value, i) => Math.abs(value - (exact[i] ?? NaN))))).toBeLessThan(5e-4);
  });

  it('may hold bfloat16', () => {
    const folder = copyOfFixture('llama-tidar');
    changeTensors(folder, (tensors) => tensors.map((tensor) => ({ ...tensor, dtype: 'F16' })));
    const path = join(folder, 'model.safetensors');
    const file = readFileSync(path);
    const dataStart = 8 + Number(file.readBigUInt64LE(0));
    const header = Buffer.from(file.toString('latin1', 8, dataStart).replaceAll('"F16"', '"BF16"'));
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(header.length));
    const ones = Buffer.alloc(file.length - dataStart, Buffer.from([0x80, 0x3f]));
    writeFileSync(path, Buffer.concat([length, header, ones]));
    const model = loadModelFolder(folder);
    expect(new Set(readTensor(model, 'model.norm.weight'))).toEqual(new Set([1]));
  });

  it('may carry the copied head of a tied model and rotary frequencies, which are left out', () => {
    const folder = copyOfFixture('llama-tidar');
    const extra = [
      makeTensor('lm_head.weight', [48, 32]),
      makeTensor('model.layers.0.self_attn.rotary_emb.inv_freq', [4]),
    ];
    changeTensors(folder, (tensors) => [...tensors, ...extra]);
    expect(loadModelFolder(folder).tensors.has('lm_head.weight')).toBe(false);
  });

  it('ends at the end tokens of config.json, generation_config.json and the tokenizer', () => {
    const folder = copyOfFixture('llama-tidar');
    addTokenizer(folder);
    writeFileSync(join(folder, 'generation_config.json'), JSON.stringify({ eos_token_id: [2, 5] }));
    const model = loadModelFolder(folder);
    expect(model.config.eosTokenIds).toEqual([2, 5, 259]);
    expect(model.tokenizer?.eosTokenIds).toEqual([2, 5, 259]);
    expect(model.tokenizer?.bosTokenId).toBe(256);
  });
});

const Q_PROJ = 'model.layers.1.self_attn.q_proj.weight';

describe('a spoiled model folder is refused with one sentence:', () => {
  it.each<[string, (folder: string) => void, string]>([
    ['no config', (f) => rmSync(join(f, 'config.json')), 'config.json: the file is missing.'],
    [
      'config that is no JSON',
      (f) => writeFileSync(join(f, 'config.json'), '{"a"'),
      'config.json: is not JSON (',
    ],
    ['no weights', (f) => rmSync(join(f, 'model.safetensors')), 'model.safetensors: the file is missing.'],
    [
      'truncated weights',
      (f) => truncateSync(join(f, 'model.safetensors'), 30000),
      'found a file of 30000 bytes.',
    ],
    [
      'a tensor missing',
      (f) => changeTensors(f, (tensors) => tensors.filter(({ name }) => name !== Q_PROJ)),
      `model.safetensors: tensor ${Q_PROJ} is missing; expected one of shape [32, 32].`,
    ],
    [
      'a tensor transposed',
      (f) =>
        changeTensors(f, (tensors) =>
          tensors.map((t) =>
            t.name === 'model.layers.0.mlp.up_proj.weight' ? { ...t, shape: [32, 56] } : t,
          ),
        ),
      'model.safetensors: tensor model.layers.0.mlp.up_proj.weight has shape [32, 56]; expected [56, 32] by config.json.',
    ],
    [
      'a tensor too many',
      (f) =>
        changeTensors(f, (tensors) => [...tensors, makeTensor('model.layers.0.self_attn.q_proj.bias', [32])]),
      'model.safetensors: found tensors that llama by config.json does not have: model.layers.0.self_attn.q_proj.bias.',
    ],
    [
      'fewer layers in the config than in the weights',
      (f) => changeJson(join(f, 'config.json'), { num_hidden_layers: 1 }),
      'found tensors that llama by config.json does not have: model.layers.1.self_attn.q_proj.weight,',
    ],
    [
      'a dtype that is no float',
      (f) => {
        const path = join(f, 'model.safetensors');
        const file = readFileSync(path, 'latin1');
        writeFileSync(path, file.replaceAll('"F32"', '"I32"'), 'latin1');
      },
      'has dtype I32; expected F32, F16 or BF16.',
    ],
    [
      'an end token outside of the vocabulary',
      (f) => writeFileSync(join(f, 'generation_config.json'), '{"eos_token_id": 48}'),
      'generation_config.json: eos_token_id is 48; expected token ids below vocab_size 48.',
    ],
    [
      'a tokenizer for another vocabulary',
      (f) => writeFileSync(join(f, 'tokenizer.json'), JSON.stringify(tinyTokenizerJson())),
      'tokenizer.json: found token id 273; expected ids below vocab_size 48 of config.json.',
    ],
  ])('%s', (_, spoil, sentence) => {
    const folder = copyOfFixture('llama-tidar');
    spoil(folder);
    const error = refusal(folder);
    expect(error.code).toBe('model_folder_invalid');
    expect(error.message).toContain(sentence);
  });

  it('no head in a model that is not tied', () => {
    const folder = copyOfFixture('llama-tidar');
    changeJson(join(folder, 'config.json'), { tie_word_embeddings: false });
    expect(refusal(folder).message).toContain(
      'tensor lm_head.weight is missing; expected one of shape [48, 32].',
    );
  });

  it('no folder at all', () => {
    expect(refusal(join(fixturePath('llama-tidar'), 'nowhere')).message).toContain('does not exist');
    expect(refusal(join(fixturePath('llama-tidar'), 'config.json')).message).toContain('is not a folder');
  });

  it('weights cut anywhere', () => {
    const folder = copyOfFixture('qwen3-tidar');
    const path = join(folder, 'model.safetensors');
    const whole = readFileSync(path);
    fc.assert(
      fc.property(fc.nat(whole.length - 1), (length) => {
        writeFileSync(path, whole.subarray(0, length));
        expect(refusal(folder).message).toMatch(/^model\.safetensors: truncated/);
      }),
      { numRuns: 50 },
    );
  });
});

describe('the fingerprint', () => {
  it('is the same for the same files under another name, and names the runtime', () => {
    const one = loadModelFolder(copyOfFixture('llama-tidar'));
    const two = loadModelFolder(copyOfFixture('llama-tidar'));
    expect(fingerprint(one, 'ort 1.30.0 cpu')).toMatch(/^fp_[0-9a-f]{24}$/);
    expect(fingerprint(one, 'ort 1.30.0 cpu')).toBe(fingerprint(two, 'ort 1.30.0 cpu'));
    expect(fingerprint(one, 'ort 1.30.0 cpu')).not.toBe(fingerprint(one, 'ort 1.29.0 cpu'));
  });

  it('names what flags say beside the folder, and nothing else of them', () => {
    const folder = copyOfFixture('llama-tidar');
    const hashOf = (options = {}): string => loadModelFolder(folder, options).contentHash;
    expect(hashOf({ adapter: 'none' })).toBe(hashOf());
    const others = [{ maskTokenId: 46 }, { blockSize: 8 }, { maskTokenId: 46, blockSize: 8 }];
    expect(new Set([hashOf(), ...others.map(hashOf)]).size).toBe(4);
    expect(loadModelFolder(folder, { blockSize: 8 }).config.tidar).toEqual({ maskTokenId: 47, blockSize: 8 });
  });

  it.each<[string, (folder: string) => void]>([
    ['config.json', (f) => changeJson(join(f, 'config.json'), { rms_norm_eps: 2e-5 })],
    ['one bit of a weight', (f) => flipLastBit(join(f, 'model.safetensors'))],
    ['tokenizer.json', (f) => changeJson(join(f, 'tokenizer.json'), { truncation: null })],
    ['the template', (f) => changeJson(join(f, 'tokenizer_config.json'), { chat_template: 'x' })],
    ['a template file that appears', (f) => writeFileSync(join(f, 'chat_template.jinja'), '')],
    ['an end token', (f) => writeFileSync(join(f, 'generation_config.json'), '{"eos_token_id":3}')],
  ])('changes with %s', (_, change) => {
    const folder = copyOfFixture('llama-tidar');
    addTokenizer(folder);
    const before = fingerprint(loadModelFolder(folder), '');
    change(folder);
    expect(fingerprint(loadModelFolder(folder), '')).not.toBe(before);
  });
});

function flipLastBit(path: string): void {
  const file = readFileSync(path);
  file.writeUInt8(file.readUInt8(file.length - 1) ^ 1, file.length - 1);
  writeFileSync(path, file);
  expect(readSafetensorsHeader(path).entries.size).toBeGreaterThan(0);
}
