import { existsSync, statSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import {
  ADAPTER_CONFIG_FILE,
  ADAPTER_WEIGHTS_FILE,
  adapterTensors,
  loadAdapter,
  OWN_ADAPTER_FOLDER,
} from './adapter.ts';
import type { Adapter, AdapterRows } from './adapter.ts';
import type { ToolFormat } from './answer/forms.ts';
import type { ModelConfig } from './config.ts';
import { parseModelConfig } from './config.ts';
import { hashFiles } from './fingerprint.ts';
import type { QuantizedWeights } from './quantization/file.ts';
import type { Quantization } from './quantization/scheme.ts';
import { invalidFile, readJson } from './json-file.ts';
import { withTidarFields } from './tidar-fields.ts';
import type { TidarFields } from './tidar-fields.ts';
import type { Tokenizer } from './tokenizer.ts';
import {
  CHAT_TEMPLATE_FILE,
  loadTokenizer,
  TOKENIZER_CONFIG_FILE,
  TOKENIZER_FILE,
} from './tokenizer-files.ts';
import { findTensors, readTensorRef, SHARD_INDEX_FILE, weightFiles, WEIGHTS_FILE } from './weights.ts';
import type { TensorRef } from './weights.ts';

export type { TensorRef } from './weights.ts';

/** What a person says of a folder beside the folder itself. */
export interface FolderOptions extends TidarFields {
  /** A PEFT folder, or 'none' for a model without the adapter that its own folder brings. */
  readonly adapter?: string | undefined;
  /** 'masks' where the model has a diffusion mode. */
  readonly adapterRows?: AdapterRows | undefined;
  /** Products' weights in fewer bits; absent: as the folder has them. */
  readonly quantize?: Quantization | undefined;
  /** How the model writes calls of tools; absent: as its chat template shows it. */
  readonly toolFormat?: ToolFormat | undefined;
}

/** A model folder of which no weight was read. */
export interface ModelOutline {
  path: string;
  /** The folder's own name: what clients call the model. */
  name: string;
  config: ModelConfig;
  /** Every tensor that the architecture needs, and no other. */
  tensors: ReadonlyMap<string, TensorRef>;
  adapter?: Adapter;
  quantization?: Quantization;
}

/** A checked Hugging Face model folder. The weights stay in their files. */
export interface ModelFolder extends ModelOutline {
  /** A folder without tokenizer.json serves token ids. */
  tokenizer?: Tokenizer;
  /** SHA-256 of everything in the folder that decides the output; see `fingerprint`. */
  contentHash: string;
  /** While it is loaded; see `withQuantizedWeights`. */
  quantized?: QuantizedWeights;
}

const CONFIG_FILE = 'config.json';
const GENERATION_FILE = 'generation_config.json';
const HASHED_FILES = [
  CONFIG_FILE,
  GENERATION_FILE,
  WEIGHTS_FILE,
  TOKENIZER_FILE,
  TOKENIZER_CONFIG_FILE,
  CHAT_TEMPLATE_FILE,
];

/**
 * Opens a model folder and checks it whole, before anything is run: throws `model_folder_invalid` or
 * `unsupported_model` with one sentence that names file, tensor, expected and found. `onOutline` is told of the folder
 * before anything of it is read that takes its time, and may refuse it.
 */
export function loadModelFolder(
  path: string,
  options: FolderOptions = {},
  onOutline?: (outline: ModelOutline) => void,
): ModelFolder {
  const outline = outlineFolder(path, options);
  onOutline?.(outline);
  const tokenizer = loadTokenizer(outline.path, outline.config, options.toolFormat);
  const eosTokenIds = [...(tokenizer?.eosTokenIds ?? outline.config.eosTokenIds)];
  const contentHash = hashFiles(outline.path, hashedFiles(outline), settingsOf(outline, options));
  return {
    ...outline,
    config: { ...outline.config, eosTokenIds },
    ...(tokenizer ? { tokenizer } : {}),
    contentHash,
  };
}

/** Everything of a folder that takes no reading of weights or vocabulary; throws as `loadModelFolder` does. */
export function outlineFolder(path: string, options: FolderOptions = {}): ModelOutline {
  const absolute = resolve(path);
  const name = basename(absolute);
  if (!statSync(absolute, { throwIfNoEntry: false })?.isDirectory()) {
    throw invalidFile(name, `the model folder ${path} does not exist or is not a folder.`);
  }
  const modelConfig = parseModelConfig(readJson(absolute, CONFIG_FILE), CONFIG_FILE);
  const config = withTidarFields(withGenerationConfig(modelConfig, absolute), options);
  const tensors = findTensors(absolute, config);
  const adapter = findAdapter(absolute, config, options);
  return {
    path: absolute,
    name,
    config,
    tensors,
    ...(adapter ? { adapter } : {}),
    ...(options.quantize === undefined ? {} : { quantization: options.quantize }),
  };
}

/** Reads one weight into memory as float32. */
export function readTensor(folder: Pick<ModelFolder, 'tensors'>, name: string): Float32Array {
  const tensor = folder.tensors.get(name);
  if (tensor === undefined) throw new RangeError(`the model has no tensor ${name}`);
  return readTensorRef(tensor);
}

/** Bytes of all weights, the adapter's included, as the files hold them. */
export function numWeightBytes({ tensors, adapter }: ModelOutline): number {
  return [...tensors.values(), ...adapterTensors(adapter)].reduce(
    (sum, { byteLength }) => sum + byteLength,
    0,
  );
}

function findAdapter(folder: string, config: ModelConfig, options: FolderOptions): Adapter | undefined {
  const own = join(folder, OWN_ADAPTER_FOLDER);
  const isOwnUsed = options.adapter === undefined && config.tidar !== undefined;
  const path = isOwnUsed && existsSync(own) ? own : options.adapter;
  if (path === undefined || path === 'none') return undefined;
  const rows = options.adapterRows ?? (config.tidar === undefined ? 'all' : 'masks');
  return loadAdapter(resolve(path), folder, config, rows);
}

function hashedFiles({ path, adapter }: ModelOutline): string[] {
  const shards = weightFiles(path);
  return [
    ...HASHED_FILES,
    ...(shards.includes(WEIGHTS_FILE) ? [] : [SHARD_INDEX_FILE, ...shards]),
    ...(adapter ? [ADAPTER_CONFIG_FILE, ADAPTER_WEIGHTS_FILE].map((file) => join(adapter.path, file)) : []),
  ];
}

/** What else decides the output; nothing for a folder that is taken as it is, whose hash is that of its files. */
function settingsOf({ config, adapter, quantization }: ModelOutline, options: FolderOptions): unknown[] {
  const isOverridden = options.maskTokenId !== undefined || options.blockSize !== undefined;
  return [
    ...(isOverridden ? [config.tidar] : []),
    ...(adapter ? [adapter.rows] : []),
    ...(quantization ? [quantization] : []),
    ...(options.toolFormat ? [options.toolFormat] : []),
  ];
}

/** generation_config.json may name more end tokens than config.json does: generation ends at any of them. */
function withGenerationConfig(config: ModelConfig, folder: string): ModelConfig {
  if (!existsSync(join(folder, GENERATION_FILE))) return config;
  const json = readJson(folder, GENERATION_FILE);
  const found = (json as Record<string, unknown> | null)?.['eos_token_id'];
  if (found === undefined || found === null) return config;
  const ids: unknown[] = Array.isArray(found) ? found : [found];
  const isTokenId = (id: unknown): id is number =>
    typeof id === 'number' && Number.isInteger(id) && id >= 0 && id < config.vocabSize;
  if (!ids.every(isTokenId)) {
    throw invalidFile(
      GENERATION_FILE,
      `eos_token_id is ${JSON.stringify(found)}; expected token ids below vocab_size ${config.vocabSize}.`,
    );
  }
  return { ...config, eosTokenIds: [...new Set([...config.eosTokenIds, ...ids])] };
}
