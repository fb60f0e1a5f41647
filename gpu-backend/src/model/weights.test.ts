import {
  closeSync,
  ftruncateSync,
  openSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { TidarError } from '@tidar/shared/errors.ts';
import { describe, expect, it } from 'vitest';
import { openModel } from '../device/open.ts';
import { batchOf, causalRows, tokensOf } from '../device/testing.ts';
import { expectedTensors, parseModelConfig } from './config.ts';
import type { ModelConfig } from './config.ts';
import { loadModelFolder, outlineFolder, readTensor } from './folder.ts';
import type { ModelFolder } from './folder.ts';
import type { TensorToWrite } from './safetensors-writer.ts';
import { writeSafetensors } from './safetensors-writer.ts';
import { nameInFile } from './tensor-names.ts';
import { changeJson, copyOfFixture, fixturePath, temporaryFolder } from './testing/temporary-folder.ts';

const INDEX = 'model.safetensors.index.json';

/** Gives a folder's weights to several files, tensor by tensor in turn. */
function shard(folder: string, numShards: number): string {
  const model = loadModelFolder(folder);
  const tensors = [...model.tensors.values()].map(({ name, shape }): TensorToWrite => {
    return {
      name: nameInFile(model.config.architecture, name),
      dtype: 'F32',
      shape,
      data: readTensor(model, name),
    };
  });
  const fileOf = (index: number): string =>
    `model-0000${(index % numShards) + 1}-of-0000${numShards}.safetensors`;
  for (let at = 0; at < numShards; at += 1) {
    writeSafetensors(
      join(folder, fileOf(at)),
      tensors.filter((_, index) => index % numShards === at),
    );
  }
  const weightMap = Object.fromEntries(tensors.map(({ name }, index) => [name, fileOf(index)]));
  writeFileSync(join(folder, INDEX), JSON.stringify({ metadata: { total_size: 1 }, weight_map: weightMap }));
  rmSync(join(folder, 'model.safetensors'));
  return folder;
}

async function logitsOf(folder: ModelFolder): Promise<number[][]> {
  const session = await openModel(folder, { numThreads: 1 });
  const cache = session.createCache(1, 32);
  const output = await session.run(cache, batchOf(32, [causalRows(tokensOf(9))]));
  const logits = Array.from({ length: 9 }, (_, row) => [...output.logits(row)]);
  cache.dispose();
  await session.dispose();
  return logits;
}

const refusal = (folder: string): string => {
  try {
    loadModelFolder(folder);
  } catch (error) {
    if (error instanceof TidarError && error.code === 'model_folder_invalid') return error.message;
    throw error;
  }
  throw new Error('the folder was accepted');
};

describe('weights in shards', () => {
  it.each(['llama-tidar', 'nemotron-tidar'])('compute what %s computes from one file', async (name) => {
    const sharded = loadModelFolder(shard(copyOfFixture(name), 3));
    expect(new Set([...sharded.tensors.values()].map(({ fileName }) => fileName)).size).toBe(3);
    const whole = loadModelFolder(fixturePath(name), { adapter: 'none' });
    expect(await logitsOf(sharded)).toEqual(await logitsOf(whole));
  });

  it('change the hash with any byte of any shard, and with the index', () => {
    const folder = shard(copyOfFixture('llama-tidar'), 2);
    const first = loadModelFolder(folder).contentHash;
    changeJson(join(folder, INDEX), { metadata: { total_size: 2 } });
    const second = loadModelFolder(folder).contentHash;
    const path = join(folder, 'model-00002-of-00002.safetensors');
    const file = openSync(path, 'r+');
    writeSync(file, Uint8Array.of(0x3f), 0, 1, 8000);
    closeSync(file);
    expect(new Set([first, second, loadModelFolder(folder).contentHash]).size).toBe(3);
  });

  it.each<[string, (folder: string) => void, string]>([
    ['an index without a map', (f) => writeFileSync(join(f, INDEX), '{}'), `${INDEX}: expected weight_map`],
    [
      'an index that leaves the folder',
      (f) => writeFileSync(join(f, INDEX), '{"weight_map":{"a":"../model.safetensors"}}'),
      `${INDEX}: expected weight_map`,
    ],
    [
      'a shard missing',
      (f) => rmSync(join(f, 'model-00001-of-00002.safetensors')),
      'model-00001-of-00002.safetensors: the file is missing.',
    ],
    [
      'a shard that the index leaves out',
      (f) => writeFileSync(join(f, INDEX), '{"weight_map":{"a":"model-00001-of-00002.safetensors"}}'),
      `${INDEX}: tensor model.layers.0.input_layernorm.weight is missing; expected one of shape [32].`,
    ],
    [
      'a tensor in two shards',
      (f) => {
        const data = {
          name: 'model.norm.weight',
          dtype: 'F32',
          shape: [32],
          data: new Float32Array(32),
        } as const;
        writeSafetensors(join(f, 'more.safetensors'), [data]);
        const map = { a: 'model-00001-of-00002.safetensors', b: 'model-00002-of-00002.safetensors' };
        writeFileSync(join(f, INDEX), JSON.stringify({ weight_map: { ...map, c: 'more.safetensors' } }));
      },
      'more.safetensors: tensor model.norm.weight is in model-00002-of-00002.safetensors too.',
    ],
  ])('are refused with one sentence: %s', (_, spoil, sentence) => {
    const folder = shard(copyOfFixture('llama-tidar'), 2);
    spoil(folder);
    expect(refusal(folder)).toContain(sentence);
  });
});

describe('weights elsewhere', () => {
  it('are found through links, as a download cache has them', async () => {
    const folder = shard(copyOfFixture('qwen3-tidar'), 2);
    const blobs = temporaryFolder();
    for (const shardNumber of [1, 2]) {
      const path = join(folder, `model-0000${shardNumber}-of-00002.safetensors`);
      const blob = join(blobs, `blob ${shardNumber}`);
      renameSync(path, blob);
      symlinkSync(blob, path);
    }
    expect(await logitsOf(loadModelFolder(folder))).toEqual(
      await logitsOf(loadModelFolder(fixturePath('qwen3-tidar'))),
    );
  });

  it('are named as the architecture names them', () => {
    const folder = copyOfFixture('nemotron-tidar');
    changeJson(join(folder, 'config.json'), { num_hidden_layers: 1 });
    expect(refusal(folder)).toContain('does not have: encoder.layers.1.self_attn.q_proj.weight,');
    changeJson(join(folder, 'config.json'), { num_hidden_layers: 3 });
    expect(refusal(folder)).toContain('tensor encoder.layers.2.input_layernorm.weight is missing');
    changeJson(join(folder, 'config.json'), { num_hidden_layers: 2, vocab_size: 49 });
    expect(refusal(folder)).toContain(
      'tensor encoder.embed_tokens.weight has shape [48, 32]; expected [49, 32]',
    );
  });
});

describe('a file of more than 2 GiB', () => {
  it('gives the tensors behind its first 2 GiB', () => {
    const folder = temporaryFolder();
    const json = {
      model_type: 'llama',
      vocab_size: 2 ** 20,
      hidden_size: 544,
      num_hidden_layers: 1,
      num_attention_heads: 2,
      intermediate_size: 2,
      tie_word_embeddings: true,
    };
    writeFileSync(join(folder, 'config.json'), JSON.stringify(json));
    const norm = writeSparse(folder, parseModelConfig(json, 'config.json'));
    const model = outlineFolder(folder);
    expect(model.tensors.get('model.norm.weight')?.byteOffset).toBeGreaterThan(2 ** 31);
    expect(readTensor(model, 'model.norm.weight')).toEqual(norm);
  });
});

/** Zeros take no room on disk: only the header and the last tensor, a norm that counts up, are written. */
function writeSparse(folder: string, config: ModelConfig): Float32Array {
  const entries: Record<string, object> = {};
  let end = 0;
  for (const [name, shape] of expectedTensors(config)) {
    const start = end;
    end += 4 * shape.reduce((product, length) => product * length, 1);
    entries[name] = { dtype: 'F32', shape, data_offsets: [start, end] };
  }
  const header = new TextEncoder().encode(JSON.stringify(entries));
  const length = new Uint8Array(8);
  new DataView(length.buffer).setBigUint64(0, BigInt(header.length), true);
  const file = openSync(join(folder, 'model.safetensors'), 'w');
  writeSync(file, Buffer.concat([length, header]));
  const numBytes = length.length + header.length + end;
  ftruncateSync(file, numBytes);
  const last = Float32Array.from({ length: config.hiddenSize }, (_, at) => at);
  writeSync(file, new Uint8Array(last.buffer), 0, last.byteLength, numBytes - last.byteLength);
  closeSync(file);
  return last;
}
