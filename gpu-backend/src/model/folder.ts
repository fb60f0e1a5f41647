import { closeSync, existsSync, openSync, statSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { TidarError } from '@tidar/shared/errors.ts';
import type { ModelConfig } from './config.ts';
import { expectedTensors, parseModelConfig } from './config.ts';
import { hashFiles } from './fingerprint.ts';
import type { FloatDtype } from './float16.ts';
import { toFloat32 } from './float16.ts';
import { invalidFile, readJson } from './json-file.ts';
import type { SafetensorsEntry } from './safetensors.ts';
import { readFully, readSafetensorsHeader } from './safetensors.ts';
import type { Tokenizer } from './tokenizer.ts';
import {
  CHAT_TEMPLATE_FILE,
  loadTokenizer,
  TOKENIZER_CONFIG_FILE,
  TOKENIZER_FILE,
} from './tokenizer-files.ts';

/** One weight: bytes [byteOffset, byteOffset + byteLength) of a file, little-endian, in row-major order. */
export interface TensorRef {
  name: string;
  dtype: FloatDtype;
  shape: number[];
  /** Relative to the folder. */
  fileName: string;
  byteOffset: number;
  byteLength: number;
}

/** A checked Hugging Face model folder. The weights stay in their file. */
export interface ModelFolder {
  path: string;
  /** The folder's own name: what clients call the model. */
  name: string;
  config: ModelConfig;
  /** Every tensor that the architecture needs, and no other. */
  tensors: ReadonlyMap<string, TensorRef>;
  /** A folder without tokenizer.json serves token ids. */
  tokenizer?: Tokenizer;
  /** SHA-256 of everything in the folder that decides the output; see `fingerprint`. */
  contentHash: string;
}

const CONFIG_FILE = 'config.json';
const GENERATION_FILE = 'generation_config.json';
const WEIGHTS_FILE = 'model.safetensors';
const SHARD_INDEX_FILE = 'model.safetensors.index.json';
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
 * `unsupported_model` with one sentence that names file, tensor, expected and found.
 */
export function loadModelFolder(path: string): ModelFolder {
  const absolute = resolve(path);
  const name = basename(absolute);
  if (!statSync(absolute, { throwIfNoEntry: false })?.isDirectory()) {
    throw invalidFile(name, `the model folder ${path} does not exist or is not a folder.`);
  }
  const modelConfig = parseModelConfig(readJson(absolute, CONFIG_FILE), CONFIG_FILE);
  const configured = withGenerationConfig(modelConfig, absolute);
  const tensors = findTensors(absolute, configured);
  const tokenizer = loadTokenizer(absolute, configured);
  const config = { ...configured, eosTokenIds: [...(tokenizer?.eosTokenIds ?? configured.eosTokenIds)] };
  const contentHash = hashFiles(absolute, HASHED_FILES);
  return { path: absolute, name, config, tensors, ...(tokenizer ? { tokenizer } : {}), contentHash };
}

/** Reads one weight into memory as float32. */
export function readTensor(folder: ModelFolder, name: string): Float32Array {
  const tensor = folder.tensors.get(name);
  if (tensor === undefined) throw new RangeError(`the model has no tensor ${name}`);
  const bytes = new Uint8Array(tensor.byteLength);
  const file = openSync(join(folder.path, tensor.fileName), 'r');
  try {
    if (!readFully(file, bytes, tensor.byteOffset)) {
      throw invalidFile(tensor.fileName, `tensor ${name}: the file became shorter after it was opened.`);
    }
  } finally {
    closeSync(file);
  }
  return toFloat32(bytes.buffer, tensor.dtype);
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

function findTensors(folder: string, config: ModelConfig): ReadonlyMap<string, TensorRef> {
  if (!existsSync(join(folder, WEIGHTS_FILE)) && existsSync(join(folder, SHARD_INDEX_FILE))) {
    throw new TidarError(
      'unsupported_model',
      `${SHARD_INDEX_FILE}: weights in shards are not implemented; supported: one ${WEIGHTS_FILE}.`,
    );
  }
  const { entries } = readSafetensorsHeader(join(folder, WEIGHTS_FILE));
  const expected = expectedTensors(config);
  const tensors = new Map<string, TensorRef>();
  for (const [name, shape] of expected) tensors.set(name, checkTensor(name, shape, entries.get(name)));
  refuseSurprises([...entries.keys()], expected, config);
  return tensors;
}

function checkTensor(name: string, shape: number[], found: SafetensorsEntry | undefined): TensorRef {
  const expected = `[${shape.join(', ')}]`;
  if (found === undefined) {
    throw invalidFile(WEIGHTS_FILE, `tensor ${name} is missing; expected one of shape ${expected}.`);
  }
  if (found.shape.join() !== shape.join()) {
    throw invalidFile(
      WEIGHTS_FILE,
      `tensor ${name} has shape [${found.shape.join(', ')}]; expected ${expected} by ${CONFIG_FILE}.`,
    );
  }
  const { dtype } = found;
  if (dtype !== 'F32' && dtype !== 'F16' && dtype !== 'BF16') {
    throw invalidFile(WEIGHTS_FILE, `tensor ${name} has dtype ${dtype}; expected F32, F16 or BF16.`);
  }
  return { ...found, dtype, fileName: WEIGHTS_FILE };
}

/** A tensor that nothing would use means that the config doesn't describe this model. */
function refuseSurprises(names: string[], expected: ReadonlyMap<string, unknown>, config: ModelConfig): void {
  const surprises = names.filter(
    (name) =>
      !expected.has(name) &&
      // A tied model may still carry the copy; older Llama files carry the rotary frequencies.
      !(config.tieWordEmbeddings && name === 'lm_head.weight') &&
      !name.endsWith('rotary_emb.inv_freq'),
  );
  if (surprises.length === 0) return;
  const shown = surprises.slice(0, 3).join(', ');
  const more = surprises.length > 3 ? ` and ${surprises.length - 3} more` : '';
  throw invalidFile(
    WEIGHTS_FILE,
    `found tensors that ${config.architecture} by ${CONFIG_FILE} does not have: ${shown}${more}.`,
  );
}
