import { TidarError } from '@tidar/shared/errors.ts';
import { z } from 'zod';
import { refuseUnsupportedFeatures } from './config-features.ts';
import { invalidFile } from './json-file.ts';
import { parseRope, ropePositions } from './rope-config.ts';
import type { QueryScaling, RopeScaling } from './rope-config.ts';

export { expectedTensors } from './tensor-names.ts';

export const ARCHITECTURES = [
  'llama',
  'qwen2',
  'qwen3',
  'mistral',
  'ministral3',
  'nemotron_labs_diffusion',
] as const;
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
  ropeScaling?: RopeScaling;
  queryScaling?: QueryScaling;
  tieWordEmbeddings: boolean;
  /** The longest context that is computed exactly. */
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
  rmsNormEps: number;
  bosTokenId?: number;
  eosTokenIds: number[];
  /** Keys that one row sees at most. */
  slidingWindow?: number;
}

const evenSplit = (hiddenSize: number, numHeads: number): number => hiddenSize / numHeads;
const ministral = {
  maxPositions: 262144,
  headDim: () => 128,
  rmsNormEps: 1e-5,
  bosTokenId: 1,
};

const DEFAULTS: Record<Architecture, Defaults> = {
  llama: { maxPositions: 2048, headDim: evenSplit, rmsNormEps: 1e-6, bosTokenId: 1, eosTokenIds: [2] },
  qwen2: { maxPositions: 32768, headDim: evenSplit, rmsNormEps: 1e-6, eosTokenIds: [] },
  qwen3: { maxPositions: 32768, headDim: () => 128, rmsNormEps: 1e-6, eosTokenIds: [] },
  mistral: {
    maxPositions: 131072,
    headDim: evenSplit,
    rmsNormEps: 1e-6,
    bosTokenId: 1,
    eosTokenIds: [2],
    slidingWindow: 4096,
  },
  ministral3: { ...ministral, eosTokenIds: [2] },
  nemotron_labs_diffusion: { ...ministral, eosTokenIds: [11] },
};
/** Their rotary settings are never what other models take for granted. */
const WITH_ROPE_PARAMETERS: readonly Architecture[] = ['ministral3', 'nemotron_labs_diffusion'];

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
  rms_norm_eps: positive.nullish(),
  // All architectures default to untied, unlike transformers' base class.
  tie_word_embeddings: z.boolean('true or false').default(false),
  max_position_embeddings: length.nullish(),
  bos_token_id: tokenId.nullish(),
  eos_token_id: tokenIds.nullish(),
  sliding_window: length.nullish(),
  tidar: z.strictObject({ mask_token_id: tokenId, block_size: length }).nullish(),
  // Nemotron-Labs-Diffusion has its diffusion mode's fields among the others.
  mask_token_id: tokenId.nullish(),
  block_size: length.nullish(),
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

/** A window changes nothing for contexts that fit into it: beyond it they are refused, not computed otherwise. */
function contextOf({ max_position_embeddings: most, sliding_window: window }: RawConfig, defaults: Defaults) {
  const maxPositions = most ?? defaults.maxPositions;
  const width = window === undefined ? defaults.slidingWindow : window;
  return defaults.slidingWindow === undefined ? maxPositions : Math.min(maxPositions, width ?? maxPositions);
}

function tidarOf({ tidar, mask_token_id: mask, block_size: block }: RawConfig): ModelConfig['tidar'] {
  if (tidar) return { maskTokenId: tidar.mask_token_id, blockSize: tidar.block_size };
  if (typeof mask !== 'number' || typeof block !== 'number') return undefined;
  return { maskTokenId: mask, blockSize: block };
}

function ropeOf(json: Record<string, unknown>, architecture: Architecture, most: number, fileName: string) {
  const scalesQueries = WITH_ROPE_PARAMETERS.includes(architecture);
  if (scalesQueries && !json['rope_parameters'] && !json['rope_scaling']) {
    throw invalidFile(fileName, `rope_parameters is missing; ${architecture} needs it.`);
  }
  return parseRope(json, { fileName, maxPositions: most, scalesQueries });
}

function toModelConfig(
  raw: RawConfig,
  json: Record<string, unknown>,
  architecture: Architecture,
  fileName: string,
): ModelConfig {
  const defaults = DEFAULTS[architecture];
  const numHeads = raw.num_attention_heads;
  const bosTokenId = raw.bos_token_id === undefined ? defaults.bosTokenId : raw.bos_token_id;
  const eosTokenIds = raw.eos_token_id === undefined ? defaults.eosTokenIds : raw.eos_token_id;
  const maxPositions = contextOf(raw, defaults);
  const rope = ropeOf(json, architecture, maxPositions, fileName);
  const tidar = tidarOf(raw);
  return {
    architecture,
    vocabSize: raw.vocab_size,
    hiddenSize: raw.hidden_size,
    numLayers: raw.num_hidden_layers,
    numHeads,
    numKeyValueHeads: raw.num_key_value_heads ?? numHeads,
    headDim: raw.head_dim ?? defaults.headDim(raw.hidden_size, numHeads),
    intermediateSize: raw.intermediate_size,
    rmsNormEps: raw.rms_norm_eps ?? defaults.rmsNormEps,
    ropeTheta: rope.theta,
    ...(rope.scaling ? { ropeScaling: rope.scaling } : {}),
    ...(rope.queryScaling ? { queryScaling: rope.queryScaling } : {}),
    tieWordEmbeddings: raw.tie_word_embeddings,
    maxPositions: ropePositions(rope, maxPositions),
    attentionBias: architecture === 'qwen2',
    queryKeyNorm: architecture === 'qwen3',
    ...(bosTokenId === null || bosTokenId === undefined ? {} : { bosTokenId }),
    eosTokenIds: eosTokenIds ?? [],
    ...(tidar ? { tidar } : {}),
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
    [raw.tidar ? 'tidar.mask_token_id' : 'mask_token_id', config.tidar?.maskTokenId],
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
  const config = toModelConfig(parsed.data, json as Record<string, unknown>, architecture, fileName);
  checkConsistency(parsed.data, config, fileName);
  return config;
}
