import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openModel } from '../../device/open.ts';
import { loadModelFolder, readTensor } from '../../model/folder.ts';
import type { ModelFolder } from '../../model/folder.ts';
import { fixturePath, temporaryFolder } from '../../model/testing/temporary-folder.ts';
import { DEMO_MODEL } from '../open-model.ts';
import { writeGguf } from './gguf.ts';
import type { GgufType } from './gguf.ts';
import { openLlamaPeer } from './llama-cpp.ts';
import { greedyText } from './record-acceptance.ts';
import { makeShape } from './shapes.ts';

interface Gguf {
  metadata: Map<string, unknown>;
  tensors: Map<string, { dimensions: number[]; data: Float32Array }>;
}

/** A second reading of the format, by its specification: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md */
function readGguf(path: string): Gguf {
  const bytes = readFileSync(path);
  let at = 0;
  const take = <T>(numBytes: number, read: (offset: number) => T): T => {
    at += numBytes;
    return read(at - numBytes);
  };
  const u32 = (): number => take(4, (offset) => bytes.readUInt32LE(offset));
  const u64 = (): number => Number(take(8, (offset) => bytes.readBigUInt64LE(offset)));
  const string = (): string => {
    const length = u64();
    return take(length, (offset) => bytes.toString('utf8', offset, offset + length));
  };
  const value = (type: number): unknown => {
    if (type === 4) return u32();
    if (type === 5) return take(4, (offset) => bytes.readInt32LE(offset));
    if (type === 6) return take(4, (offset) => bytes.readFloatLE(offset));
    if (type === 7) return take(1, (offset) => bytes[offset] === 1);
    if (type === 8) return string();
    expect(type).toBe(9);
    const elementType = u32();
    return Array.from({ length: u64() }, () => value(elementType));
  };
  expect(take(4, (offset) => bytes.toString('latin1', offset, offset + 4))).toBe('GGUF');
  expect(u32()).toBe(3);
  const [numTensors, numKeys] = [u64(), u64()];
  const metadata = new Map(Array.from({ length: numKeys }, () => [string(), value(u32())] as const));
  const infos = Array.from({ length: numTensors }, () => {
    const name = string();
    const dimensions = Array.from({ length: u32() }, u64);
    return { name, dimensions, type: u32(), offset: u64() };
  });
  const dataStart = 32 * Math.ceil(at / 32);
  const tensors = new Map(
    infos.map(({ name, dimensions, type, offset }) => {
      expect(offset % 32).toBe(0);
      const length = dimensions.reduce((product, one) => product * one, 1);
      const start = dataStart + offset;
      const data = bytes.buffer.slice(
        bytes.byteOffset + start,
        bytes.byteOffset + start + length * (type === 0 ? 4 : 2),
      );
      const values = type === 0 ? new Float32Array(data) : Float32Array.from(new Float16Array(data));
      return [name, { dimensions, data: values }];
    }),
  );
  return { metadata, tensors };
}

function ggufOf(folder: ModelFolder, type: GgufType): Gguf {
  const path = join(temporaryFolder(), 'model.gguf');
  writeGguf(folder, path, type);
  return readGguf(path);
}

/** Row r of a projection, as it lies in the file. */
const rowOf = (data: Float32Array, width: number, row: number): Float32Array =>
  data.subarray(row * width, (row + 1) * width);

describe('a GGUF file', () => {
  it('holds every tensor of the folder, dimensions reversed, and nothing else', () => {
    const folder = loadModelFolder(DEMO_MODEL);
    const { tensors } = ggufOf(folder, 'F16');
    expect(tensors.size).toBe(folder.tensors.size);
    const pairs = [
      ['token_embd.weight', 'model.embed_tokens.weight'],
      ['output_norm.weight', 'model.norm.weight'],
      ['blk.4.attn_v.weight', 'model.layers.4.self_attn.v_proj.weight'],
      ['blk.0.attn_output.weight', 'model.layers.0.self_attn.o_proj.weight'],
      ['blk.1.ffn_down.weight', 'model.layers.1.mlp.down_proj.weight'],
      ['blk.1.ffn_gate.weight', 'model.layers.1.mlp.gate_proj.weight'],
      ['blk.2.ffn_up.weight', 'model.layers.2.mlp.up_proj.weight'],
      ['blk.3.attn_norm.weight', 'model.layers.3.input_layernorm.weight'],
      ['blk.3.ffn_norm.weight', 'model.layers.3.post_attention_layernorm.weight'],
    ] as const;
    for (const [theirs, ours] of pairs) {
      expect(tensors.get(theirs)!.data).toEqual(readTensor(folder, ours));
      expect(tensors.get(theirs)!.dimensions).toEqual(folder.tensors.get(ours)!.shape.toReversed());
    }
  });

  it('has the rows of queries and keys in pairs: neighbours rotate together, as the halves did', () => {
    const folder = loadModelFolder(fixturePath('llama-tidar'));
    const { hiddenSize, headDim, numKeyValueHeads } = folder.config;
    const theirs = ggufOf(folder, 'F32').tensors.get('blk.1.attn_k.weight')!.data;
    const ours = readTensor(folder, 'model.layers.1.self_attn.k_proj.weight');
    for (let head = 0; head < numKeyValueHeads; head++) {
      for (let pair = 0; pair < headDim / 2; pair++) {
        const first = head * headDim;
        expect(rowOf(theirs, hiddenSize, first + 2 * pair)).toEqual(rowOf(ours, hiddenSize, first + pair));
        expect(rowOf(theirs, hiddenSize, first + 2 * pair + 1)).toEqual(
          rowOf(ours, hiddenSize, first + headDim / 2 + pair),
        );
      }
    }
  });

  it('tells the architecture and the vocabulary', () => {
    const folder = loadModelFolder(DEMO_MODEL);
    const { metadata } = ggufOf(folder, 'F32');
    expect(Object.fromEntries(metadata)).toMatchObject({
      'general.architecture': 'llama',
      'llama.block_count': 8,
      'llama.attention.head_count_kv': 2,
      'llama.rope.freq_base': 10_000,
      'tokenizer.ggml.model': 'gpt2',
      'tokenizer.ggml.eos_token_id': 259,
      'tokenizer.ggml.add_bos_token': false,
    });
    const tokens = metadata.get('tokenizer.ggml.tokens') as string[];
    expect(new Set(tokens).size).toBe(2048);
    expect(tokens[259]).toBe('<|end|>');
    expect((metadata.get('tokenizer.ggml.token_type') as number[])[259]).toBe(3);
    expect((metadata.get('tokenizer.ggml.merges') as string[])[0]).toMatch(/^\S+ \S+$/);
  });
});

describe('llama.cpp', () => {
  const SHAPE = {
    hiddenSize: 64,
    numLayers: 2,
    numHeads: 4,
    numKeyValueHeads: 2,
    intermediateSize: 96,
    vocabSize: 512,
    blockSize: 8,
  };
  it.each(['F32', 'F16'] as const)(
    'reads the file as the same model: in %s its greedy tokens are ours',
    async (type) => {
      const folderPath = join(temporaryFolder(), 'shape');
      makeShape(folderPath, SHAPE, 3);
      const promptIds = [260, 17, 301, 44, 45, 45, 400, 9];
      for (const path of [DEMO_MODEL, folderPath]) {
        const folder = loadModelFolder(path);
        const ggufPath = join(temporaryFolder(), 'model.gguf');
        writeGguf(folder, ggufPath, type);
        const session = await openModel(folder, { numThreads: 1 });
        const { completionIds } = await greedyText(session, session.createCache(1, 128), promptIds, 24);
        const base = {
          ggufPath,
          numThreads: 1,
          numSequences: 2,
          contextSize: 128,
          flashAttention: true,
        } as const;
        for (const lookupLength of [0, 3]) {
          const peer = await openLlamaPeer({ ...base, cacheType: 'F32', lookupLength });
          const both = await Promise.all([peer.decode(promptIds, 24), peer.decode(promptIds, 24)]);
          // Rounded to F16, random weights may say something else after some tokens.
          const numCompared = type === 'F32' || path === DEMO_MODEL ? 24 : 2;
          for (const decoded of both)
            expect(decoded.slice(0, numCompared)).toEqual(completionIds.slice(0, numCompared));
          await peer.dispose();
        }
        await session.dispose();
      }
    },
  );
});
