import { TidarError } from '@tidar/shared/errors.ts';
import { z } from 'zod';
import { refuseUnsupportedFeatures } from './config-features.ts';
import { invalidFile } from './json-file.ts';

export const ARCHITECTURES = ['llama', 'qwen2', 'qwen3'] as const;
export type Architecture = (typeof ARCHITECTURES)[number];

/** What the graph needs to know of a model. Every length is a number of elements, every id a token id. */
export interface ModelConfig {
  architecture: Architecture;
  vocabSize: number;
  hiddenSize: number;
  numLayers: number;
  numHeads: number;
  numKeyValueHeads: number;
  headDim: number;
  intermediateSize: number;
  rmsNormEps: number;
  ropeTheta: number;
  tieWordEmbeddings: boolean;
  maxPositions: number;
  /** Biases on q, k and v (Qwen2). */
  attentionBias: boolean;
  /** RMS norms of each query and key head (Qwen3). */
  queryKeyNorm: boolean;
  bosTokenId?: number;
  eosTokenIds: number[];
  /** Present where the model has a diffusion mode. */
  tidar?: { maskTokenId: number; blockSize: number };
}

/** What `transformers` takes where config.json says nothing (it writes no field that equals its default). */
interface Defaults {
  maxPositions: number;
  headDim: (hiddenSize: number, numHeads: number) => number;
  bosTokenId?: number;
  eosTokenIds: number[];
}

const evenSplit = (hiddenSize: number, numHeads: number): number => hiddenSize / numHeads;

const DEFAULTS: Record<Architecture, Defaults> = {
  llama: { maxPositions: 2048, headDim: evenSplit, bosTokenId: 1, eosTokenIds: [2] },
  qwen2: { maxPositions: 32768, headDim: evenSplit, eosTokenIds: [] },
  qwen3: { maxPositions: 32768, headDim: () => 128, eosTokenIds: [] },
};
const DEFAULT_RMS_NORM_EPS = 1e-6;
const DEFAULT_ROPE_THETA = 10000;

const length = z.int('a positive integer').positive('a positive integer');
const tokenId = z.int('a token id').nonnegative('a token id');
const positive = z.number('a positive number').positive('a positive number');
const tokenIds = z.union([tokenId.transform((id) => [id]), z.array(tokenId)], 'a token id or a list of them');

const schema = z.looseObject({
  vocab_size: length,
  hidden_size: length,
  num_hidden_layers: length,
  num_attention_heads: length,
  num_key_value_heads: length.nullish(),
  head_dim: length.nullish(),
  intermediate_size: length,
  rms_norm_eps: positive.default(DEFAULT_RMS_NORM_EPS),
  rope_theta: positive.nullish(),
  rope_parameters: z.looseObject({ rope_theta: positive.nullish() }, 'an object').nullish(),
  // All three architectures default to untied, unlike transformers' base class.
  tie_word_embeddings: z.boolean('true or false').default(false),
  max_position_embeddings: length.nullish(),
  bos_token_id: tokenId.nullish(),
  eos_token_id: tokenIds.nullish(),
  tidar: z.strictObject({ mask_token_id: tokenId, block_size: length }).nullish(),
});
type RawConfig = z.infer<typeof schema>;

/** The value at a zod issue's path, as it stands in the file. */
function valueAt(json: unknown, path: readonly PropertyKey[]): unknown {
  let value = json;
  for (const key of path) value = (value as Record<PropertyKey, unknown> | null | undefined)?.[key];
  return value;
}

function describeIssue(json: unknown, issue: z.core.$ZodIssue): string {
  const field = issue.path.map(String).join('.');
  if (issue.code === 'unrecognized_keys') {
    return `${field} has the unknown field ${issue.keys.join(', ')}; known: mask_token_id, block_size.`;
  }
  const found = valueAt(json, issue.path);
  if (found === undefined) return `${field} is missing.`;
  const expected = /^(a |an |true)/.test(issue.message) ? issue.message : 'an object';
  return `${field} is ${JSON.stringify(found)}; expected ${expected}.`;
}

function readArchitecture(json: unknown, fileName: string): Architecture {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) {
    throw invalidFile(fileName, 'expected a JSON object.');
  }
  const found = (json as Record<string, unknown>)['model_type'];
  if (typeof found !== 'string') throw invalidFile(fileName, 'model_type is missing.');
  const architecture = ARCHITECTURES.find((name) => name === found);
  if (architecture !== undefined) return architecture;
  throw new TidarError(
    'unsupported_model',
    `${fileName}: model_type is "${found}", which is not implemented; supported: ${ARCHITECTURES.join(', ')}.`,
  );
}

function toModelConfig(raw: RawConfig, architecture: Architecture): ModelConfig {
  const defaults = DEFAULTS[architecture];
  const numHeads = raw.num_attention_heads;
  const bosTokenId = raw.bos_token_id === undefined ? defaults.bosTokenId : raw.bos_token_id;
  const eosTokenIds = raw.eos_token_id === undefined ? defaults.eosTokenIds : raw.eos_token_id;
  return {
    architecture,
    vocabSize: raw.vocab_size,
    hiddenSize: raw.hidden_size,
    numLayers: raw.num_hidden_layers,
    numHeads,
    numKeyValueHeads: raw.num_key_value_heads ?? numHeads,
    headDim: raw.head_dim ?? defaults.headDim(raw.hidden_size, numHeads),
    intermediateSize: raw.intermediate_size,
    rmsNormEps: raw.rms_norm_eps,
    ropeTheta: raw.rope_parameters?.rope_theta ?? raw.rope_theta ?? DEFAULT_ROPE_THETA,
    tieWordEmbeddings: raw.tie_word_embeddings,
    maxPositions: raw.max_position_embeddings ?? defaults.maxPositions,
    attentionBias: architecture === 'qwen2',
    queryKeyNorm: architecture === 'qwen3',
    ...(bosTokenId === null || bosTokenId === undefined ? {} : { bosTokenId }),
    eosTokenIds: eosTokenIds ?? [],
    ...(raw.tidar
      ? { tidar: { maskTokenId: raw.tidar.mask_token_id, blockSize: raw.tidar.block_size } }
      : {}),
  };
}

function checkConsistency(raw: RawConfig, config: ModelConfig, fileName: string): void {
  const { hiddenSize, numHeads, numKeyValueHeads, headDim, vocabSize } = config;
  if (raw.head_dim == null && !Number.isInteger(headDim)) {
    throw invalidFile(
      fileName,
      `hidden_size ${hiddenSize} is not a multiple of num_attention_heads ${numHeads}, and there is no head_dim.`,
    );
  }
  if (numHeads % numKeyValueHeads !== 0) {
    throw invalidFile(
      fileName,
      `num_attention_heads ${numHeads} is not a multiple of num_key_value_heads ${numKeyValueHeads}.`,
    );
  }
  if (headDim % 2 !== 0) {
    throw invalidFile(fileName, `head_dim is ${headDim}; expected an even number, for rotary embeddings.`);
  }
  const ids: [string, number | undefined][] = [
    ['bos_token_id', config.bosTokenId],
    ...config.eosTokenIds.map((id): [string, number] => ['eos_token_id', id]),
    ['tidar.mask_token_id', config.tidar?.maskTokenId],
  ];
  for (const [field, id] of ids) {
    if (id !== undefined && id >= vocabSize) {
      throw invalidFile(fileName, `${field} is ${id}; expected a token id below vocab_size ${vocabSize}.`);
    }
  }
}

/**
 * Reads a Hugging Face config.json (already parsed as JSON). Throws `unsupported_model` for a model that this
 * project can't compute and `model_folder_invalid` for one that contradicts itself; `fileName` is what the
 * sentence calls the file.
 */
export function parseModelConfig(json: unknown, fileName: string): ModelConfig {
  const architecture = readArchitecture(json, fileName);
  refuseUnsupportedFeatures(json as Record<string, unknown>, architecture, fileName);
  const parsed = schema.safeParse(json);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw invalidFile(fileName, issue === undefined ? 'is not a model config.' : describeIssue(json, issue));
  }
  const config = toModelConfig(parsed.data, architecture);
  checkConsistency(parsed.data, config, fileName);
  return config;
}

function layerTensors(config: ModelConfig, layer: number): [string, number[]][] {
  const { hiddenSize, headDim, intermediateSize } = config;
  const queryWidth = config.numHeads * headDim;
  const keyValueWidth = config.numKeyValueHeads * headDim;
  const tensors: [string, number[]][] = [
    ['input_layernorm.weight', [hiddenSize]],
    ['self_attn.q_proj.weight', [queryWidth, hiddenSize]],
    ['self_attn.k_proj.weight', [keyValueWidth, hiddenSize]],
    ['self_attn.v_proj.weight', [keyValueWidth, hiddenSize]],
    ['self_attn.o_proj.weight', [hiddenSize, queryWidth]],
    ['post_attention_layernorm.weight', [hiddenSize]],
    ['mlp.gate_proj.weight', [intermediateSize, hiddenSize]],
    ['mlp.up_proj.weight', [intermediateSize, hiddenSize]],
    ['mlp.down_proj.weight', [hiddenSize, intermediateSize]],
  ];
  if (config.attentionBias) {
    tensors.push(['self_attn.q_proj.bias', [queryWidth]]);
    tensors.push(['self_attn.k_proj.bias', [keyValueWidth]]);
    tensors.push(['self_attn.v_proj.bias', [keyValueWidth]]);
  }
  if (config.queryKeyNorm) {
    tensors.push(['self_attn.q_norm.weight', [headDim]]);
    tensors.push(['self_attn.k_norm.weight', [headDim]]);
  }
  return tensors.map(([name, shape]) => [`model.layers.${layer}.${name}`, shape]);
}

/** Every tensor that the architecture needs, by its Hugging Face name, with its shape. */
export function expectedTensors(config: ModelConfig): Map<string, number[]> {
  const { vocabSize, hiddenSize } = config;
  const tensors = new Map<string, number[]>([['model.embed_tokens.weight', [vocabSize, hiddenSize]]]);
  for (let layer = 0; layer < config.numLayers; layer++) {
    for (const [name, shape] of layerTensors(config, layer)) tensors.set(name, shape);
  }
  tensors.set('model.norm.weight', [hiddenSize]);
  if (!config.tieWordEmbeddings) tensors.set('lm_head.weight', [vocabSize, hiddenSize]);
  return tensors;
}
