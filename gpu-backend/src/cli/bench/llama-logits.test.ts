import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openModel } from '../../device/open.ts';
import { batchOf, causalRows } from '../../device/testing.ts';
import { expectedTensors, parseModelConfig } from '../../model/config.ts';
import { loadModelFolder } from '../../model/folder.ts';
import type { ModelFolder } from '../../model/folder.ts';
import { writeSafetensors } from '../../model/safetensors-writer.ts';
import { nameInFile } from '../../model/tensor-names.ts';
import { temporaryFolder } from '../../model/testing/temporary-folder.ts';
import { writeGguf } from './gguf.ts';
import { openLlamaPeer } from './llama-cpp.ts';

/** Past every `original_max_position_embeddings` below. */
const NUM_TOKENS = 90;
const VOCABULARY = 96;
const TOLERANCE = 2e-4;

const SMALL = {
  vocab_size: VOCABULARY,
  hidden_size: 64,
  num_hidden_layers: 3,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  head_dim: 32,
  intermediate_size: 96,
  rms_norm_eps: 1e-5,
  max_position_embeddings: 256,
  rope_theta: 10000,
  bos_token_id: 1,
  eos_token_id: 2,
};
const LLAMA3 = {
  rope_type: 'llama3',
  factor: 8,
  low_freq_factor: 1,
  high_freq_factor: 4,
  original_max_position_embeddings: 32,
};
const YARN = { rope_type: 'yarn', factor: 4, original_max_position_embeddings: 32 };
/** As Ministral 3 has it, on Nemotron-Labs-Diffusion's backbone. */
const MINISTRAL = {
  ...YARN,
  rope_theta: 10000,
  beta_fast: 32,
  beta_slow: 1,
  mscale: 1,
  mscale_all_dim: 1,
  llama_4_scaling_beta: 0.1,
};

/** llama.cpp knows Qwen2 with heads that divide the hidden size, as all of them do. */
const QWEN2 = { model_type: 'qwen2', head_dim: undefined };

const CASES: readonly [string, Record<string, unknown>][] = [
  ['llama', { model_type: 'llama' }],
  ['llama, tied', { model_type: 'llama', tie_word_embeddings: true }],
  ['llama with linear scaling', { model_type: 'llama', rope_scaling: { type: 'linear', factor: 4 } }],
  ['llama with its own scaling', { model_type: 'llama', rope_scaling: LLAMA3 }],
  ['llama with yarn', { model_type: 'llama', rope_scaling: YARN }],
  ['qwen2', { ...QWEN2 }],
  ['qwen2, tied', { ...QWEN2, tie_word_embeddings: true }],
  ['qwen2 with yarn', { ...QWEN2, rope_scaling: YARN }],
  ['qwen3', { model_type: 'qwen3' }],
  ['qwen3, tied', { model_type: 'qwen3', tie_word_embeddings: true }],
  ['qwen3 with yarn', { model_type: 'qwen3', rope_scaling: YARN }],
  ['mistral', { model_type: 'mistral', sliding_window: null }],
  ['ministral3', { model_type: 'ministral3', rope_parameters: MINISTRAL }],
  ['nemotron_labs_diffusion', { model_type: 'nemotron_labs_diffusion', rope_parameters: MINISTRAL }],
];

/** Weights of the size that makes attention choose and logits differ by several units. */
function writeModel(json: Record<string, unknown>): ModelFolder {
  const folder = temporaryFolder();
  const config = parseModelConfig(json, 'config.json');
  writeFileSync(join(folder, 'config.json'), JSON.stringify(json));
  let seed = 1;
  const uniform = (): number => (seed = (seed * 48_271) % 2_147_483_647) / 2_147_483_647 - 0.5;
  const tensors = [...expectedTensors(config)].map(([name, shape]) => {
    const [numOutputs = 0, numInputs = 1] = shape;
    const isNorm = name.endsWith('norm.weight');
    const width = isNorm || shape.length === 1 ? 0.5 : 5 / Math.sqrt(numInputs);
    const data = Float32Array.from(
      { length: numOutputs * numInputs },
      () => Number(isNorm) + width * uniform(),
    );
    return { name: nameInFile(config.architecture, name), dtype: 'F32', shape, data } as const;
  });
  writeSafetensors(join(folder, 'model.safetensors'), tensors);
  return loadModelFolder(folder);
}

const tokenIds = Array.from({ length: NUM_TOKENS }, (_, at) => (at * at * 7 + 11 * at + 3) % VOCABULARY);

async function ourLogits(folder: ModelFolder): Promise<Float32Array[]> {
  const session = await openModel(folder, { numThreads: 1 });
  const cache = session.createCache(1, 128);
  const output = await session.run(cache, batchOf(128, [causalRows(tokenIds)]));
  const logits = tokenIds.map((_, row) => Float32Array.from(output.logits(row)));
  cache.dispose();
  await session.dispose();
  return logits;
}

async function theirLogits(folder: ModelFolder): Promise<Float32Array[]> {
  const ggufPath = join(temporaryFolder(), 'model.gguf');
  writeGguf(folder, ggufPath, 'F32');
  const peer = await openLlamaPeer({
    ggufPath,
    numThreads: 1,
    numSequences: 1,
    contextSize: 256,
    flashAttention: false,
    cacheType: 'F32',
    lookupLength: 0,
  });
  const logits = await peer.logits(tokenIds);
  await peer.dispose();
  return logits;
}

const largestDifference = (left: Float32Array[], right: Float32Array[]): number =>
  Math.max(
    ...left.flatMap((row, index) => [...row].map((value, id) => Math.abs(value - right[index]![id]!))),
  );

describe('logits of random weights equal llama.cpp’s, position by position:', () => {
  it.each(CASES)('%s', async (_, changes) => {
    const folder = writeModel({ ...SMALL, ...changes });
    const [ours, theirs] = [await ourLogits(folder), await theirLogits(folder)];
    expect(theirs.map((row) => row.length)).toEqual(ours.map(() => VOCABULARY));
    expect(Math.max(...ours[NUM_TOKENS - 1]!) - Math.min(...ours[NUM_TOKENS - 1]!)).toBeGreaterThan(3);
    expect(largestDifference(ours, theirs)).toBeLessThan(TOLERANCE);
  });

  it('and would not, were a scaling left out: each changes logits by far more than the tolerance', async () => {
    const plain = await ourLogits(writeModel({ ...SMALL, model_type: 'llama' }));
    for (const rope_scaling of [{ type: 'linear', factor: 4 }, LLAMA3, YARN]) {
      const scaled = await ourLogits(writeModel({ ...SMALL, model_type: 'llama', rope_scaling }));
      expect(largestDifference(scaled, plain)).toBeGreaterThan(0.5);
    }
    const ministral = { ...SMALL, model_type: 'ministral3', rope_parameters: MINISTRAL };
    const { llama_4_scaling_beta: _, ...unscaled } = MINISTRAL;
    const found = await ourLogits(writeModel(ministral));
    const without = await ourLogits(writeModel({ ...ministral, rope_parameters: unscaled }));
    expect(largestDifference(found, without)).toBeGreaterThan(0.05);
    expect(largestDifference(found.slice(0, 32), without.slice(0, 32))).toBe(0);
  });
});
