import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import type { Architecture, ModelConfig } from '../../model/config.ts';
import type { ModelFolder } from '../../model/folder.ts';
import { TOKENIZER_FILE } from '../../model/tokenizer-files.ts';

export type GgufType = 'F32' | 'F16';

export type MetadataValue =
  | { type: 'uint32'; value: number }
  | { type: 'float32'; value: number }
  | { type: 'bool'; value: boolean }
  | { type: 'string'; value: string }
  | { type: 'strings'; value: readonly string[] }
  | { type: 'int32s'; value: readonly number[] };
type Metadata = [string, MetadataValue][];

export const TENSOR_TYPES: Readonly<Record<GgufType, number>> = { F32: 0, F16: 1 };

/** What llama.cpp calls the backbones. */
const ARCHITECTURES: Readonly<Record<Architecture, string>> = {
  llama: 'llama',
  mistral: 'llama',
  qwen2: 'qwen2',
  qwen3: 'qwen3',
  ministral3: 'mistral3',
  nemotron_labs_diffusion: 'mistral3',
};

export const ggufArchitecture = ({ architecture }: ModelConfig): string => ARCHITECTURES[architecture];

const uint32 = (value: number): MetadataValue => ({ type: 'uint32', value });
const float32 = (value: number): MetadataValue => ({ type: 'float32', value });
const string = (value: string): MetadataValue => ({ type: 'string', value });

export function metadataOf(folder: ModelFolder, type: GgufType): Metadata {
  const { config } = folder;
  const prefix = ggufArchitecture(config);
  const own: Metadata = [
    ['vocab_size', uint32(config.vocabSize)],
    ['context_length', uint32(config.maxPositions)],
    ['embedding_length', uint32(config.hiddenSize)],
    ['block_count', uint32(config.numLayers)],
    ['feed_forward_length', uint32(config.intermediateSize)],
    ['attention.head_count', uint32(config.numHeads)],
    ['attention.head_count_kv', uint32(config.numKeyValueHeads)],
    ['attention.key_length', uint32(config.headDim)],
    ['attention.value_length', uint32(config.headDim)],
    ['attention.layer_norm_rms_epsilon', float32(config.rmsNormEps)],
    ['rope.dimension_count', uint32(config.headDim)],
    ['rope.freq_base', float32(config.ropeTheta)],
    ...scalingMetadata(config),
  ];
  return [
    ['general.architecture', string(prefix)],
    ['general.name', string(folder.name)],
    ['general.file_type', uint32(TENSOR_TYPES[type])],
    ...own.map(([key, value]): [string, MetadataValue] => [`${prefix}.${key}`, value]),
    ...vocabularyMetadata(folder),
  ];
}

/** Llama 3's scaling is a tensor there, see `rotaryFactors`. */
function scalingMetadata({ ropeScaling, queryScaling }: ModelConfig): Metadata {
  const temperature: Metadata =
    queryScaling === undefined ? [] : [['attention.temperature_scale', float32(queryScaling.beta)]];
  if (ropeScaling === undefined || ropeScaling.type === 'llama3') return temperature;
  const common: Metadata = [
    ['rope.scaling.type', string(ropeScaling.type)],
    ['rope.scaling.factor', float32(ropeScaling.factor)],
  ];
  if (ropeScaling.type === 'linear') return common;
  const { originalMaxPositions, betaFast, betaSlow, attentionFactor } = ropeScaling;
  return [
    ...common,
    ['rope.scaling.original_context_length', uint32(originalMaxPositions)],
    ['rope.scaling.yarn_beta_fast', float32(betaFast)],
    ['rope.scaling.yarn_beta_slow', float32(betaSlow)],
    // mscale and mscale_all_dim are equal where the factor is 1; llama.cpp knows only the second.
    ...(attentionFactor === 1 ? ([['rope.scaling.yarn_log_multiplier', float32(1)]] satisfies Metadata) : []),
    ...temperature,
  ];
}

/** What Llama 3 divides each pair's frequency by, as llama.cpp's own conversion computes it; [headDim / 2]. */
export function rotaryFactors({ ropeScaling, ropeTheta, headDim }: ModelConfig): Float32Array | undefined {
  if (ropeScaling?.type !== 'llama3') return undefined;
  const { factor, lowFreqFactor, highFreqFactor, originalMaxPositions } = ropeScaling;
  return Float32Array.from({ length: headDim / 2 }, (_, pair) => {
    const wavelength = 2 * Math.PI * ropeTheta ** ((2 * pair) / headDim);
    if (wavelength < originalMaxPositions / highFreqFactor) return 1;
    if (wavelength > originalMaxPositions / lowFreqFactor) return factor;
    const smooth = (originalMaxPositions / wavelength - lowFreqFactor) / (highFreqFactor - lowFreqFactor);
    return 1 / ((1 - smooth) / factor + smooth);
  });
}

const tokenizerSchema = z.looseObject({
  model: z.looseObject({
    vocab: z.record(z.string(), z.int()),
    merges: z.array(z.union([z.string(), z.tuple([z.string(), z.string()])])),
  }),
  added_tokens: z.array(z.looseObject({ id: z.int(), content: z.string() })).default([]),
});

const NORMAL_TOKEN = 1;
const CONTROL_TOKEN = 3;

function vocabularyMetadata({ path, config }: ModelFolder): Metadata {
  const { vocabSize, bosTokenId, eosTokenIds } = config;
  const tokens = Array.from({ length: vocabSize }, (_, id) => `<unused ${id}>`);
  const types = new Array<number>(vocabSize).fill(NORMAL_TOKEN);
  // A file without merges is refused; a folder without a tokenizer is only ever given token ids.
  let merges: string[] = [`${tokens[0]} ${tokens[1]}`];
  const tokenizerPath = join(path, TOKENIZER_FILE);
  if (existsSync(tokenizerPath)) {
    const { model, added_tokens: added } = tokenizerSchema.parse(
      JSON.parse(readFileSync(tokenizerPath, 'utf8')),
    );
    for (const [token, id] of Object.entries(model.vocab)) tokens[id] = token;
    merges = model.merges.map((merge) => (typeof merge === 'string' ? merge : merge.join(' ')));
    for (const { id, content } of added) [tokens[id], types[id]] = [content, CONTROL_TOKEN];
  }
  const [eosTokenId] = eosTokenIds;
  return [
    ['tokenizer.ggml.model', { type: 'string', value: 'gpt2' }],
    ['tokenizer.ggml.pre', { type: 'string', value: 'gpt-2' }],
    ['tokenizer.ggml.tokens', { type: 'strings', value: tokens }],
    ['tokenizer.ggml.token_type', { type: 'int32s', value: types }],
    ['tokenizer.ggml.merges', { type: 'strings', value: merges }],
    ...(bosTokenId === undefined
      ? []
      : [['tokenizer.ggml.bos_token_id', uint32(bosTokenId)] satisfies [string, MetadataValue]]),
    ...(eosTokenId === undefined
      ? []
      : [['tokenizer.ggml.eos_token_id', uint32(eosTokenId)] satisfies [string, MetadataValue]]),
    ['tokenizer.ggml.add_bos_token', { type: 'bool', value: false }],
  ];
}
