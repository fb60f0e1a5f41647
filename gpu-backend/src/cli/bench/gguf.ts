import { closeSync, existsSync, openSync, readFileSync, renameSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { TidarError } from '@tidar/shared/errors.ts';
import { z } from 'zod';
import type { ModelConfig } from '../../model/config.ts';
import { toFloat16Bits } from '../../model/float16.ts';
import type { ModelFolder } from '../../model/folder.ts';
import { readTensor } from '../../model/folder.ts';
import { TOKENIZER_FILE } from '../../model/tokenizer-files.ts';

/** GGUF version 3, llama.cpp's own file, of a Llama model folder: so that both engines run the same weights. */
export type GgufType = 'F32' | 'F16';

const MAGIC = 0x46554747; // "GGUF", little-endian
const VERSION = 3;
const ALIGNMENT = 32;
const TENSOR_TYPES: Record<GgufType, number> = { F32: 0, F16: 1 };

type MetadataValue =
  | { type: 'uint32'; value: number }
  | { type: 'float32'; value: number }
  | { type: 'bool'; value: boolean }
  | { type: 'string'; value: string }
  | { type: 'strings'; value: readonly string[] }
  | { type: 'int32s'; value: readonly number[] };

interface TensorToWrite {
  readonly name: string;
  /** As Hugging Face has it, the slowest dimension first; the file has it reversed. */
  readonly shape: readonly number[];
  readonly type: GgufType;
  readonly read: () => Float32Array;
}

/**
 * Writes the folder's weights as a GGUF file. F16 rounds what F16 cannot hold. Throws `unsupported_model` for what is
 * no Llama.
 */
export function writeGguf(folder: ModelFolder, path: string, type: GgufType): void {
  const { config } = folder;
  if (config.architecture !== 'llama') {
    throw new TidarError(
      'unsupported_model',
      `GGUF is written of llama models; ${folder.name} is ${config.architecture}.`,
    );
  }
  const tensors = ggufTensors(folder, type);
  const header = ggufHeader(metadataOf(folder, type), tensors);
  const temporary = `${path}.${process.pid}.tmp`;
  const file = openSync(temporary, 'w');
  try {
    writeAll(file, header);
    for (const tensor of tensors) writeAll(file, padded(tensorBytes(tensor)));
    renameSync(temporary, path);
  } finally {
    closeSync(file);
    rmSync(temporary, { force: true });
  }
}

function writeAll(file: number, bytes: Uint8Array): void {
  for (let numWritten = 0; numWritten < bytes.length;) numWritten += writeSync(file, bytes, numWritten);
}

function padded(bytes: Uint8Array): Uint8Array {
  if (bytes.length % ALIGNMENT === 0) return bytes;
  const result = new Uint8Array(ALIGNMENT * Math.ceil(bytes.length / ALIGNMENT));
  result.set(bytes);
  return result;
}

function tensorBytes({ type, read }: TensorToWrite): Uint8Array {
  const data = type === 'F32' ? read() : toFloat16Bits(read());
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

const LAYER_NAMES: Readonly<Record<string, string>> = {
  'input_layernorm.weight': 'attn_norm.weight',
  'self_attn.q_proj.weight': 'attn_q.weight',
  'self_attn.k_proj.weight': 'attn_k.weight',
  'self_attn.v_proj.weight': 'attn_v.weight',
  'self_attn.o_proj.weight': 'attn_output.weight',
  'post_attention_layernorm.weight': 'ffn_norm.weight',
  'mlp.gate_proj.weight': 'ffn_gate.weight',
  'mlp.up_proj.weight': 'ffn_up.weight',
  'mlp.down_proj.weight': 'ffn_down.weight',
};
const NAMES: Readonly<Record<string, string>> = {
  'model.embed_tokens.weight': 'token_embd.weight',
  'model.norm.weight': 'output_norm.weight',
  'lm_head.weight': 'output.weight',
};

function ggufName(name: string): string {
  const [, layer, rest = ''] = /^model\.layers\.(\d+)\.(.+)$/.exec(name) ?? [];
  const found = layer === undefined ? NAMES[name] : LAYER_NAMES[rest];
  if (found === undefined) throw new RangeError(`GGUF has no name for ${name}`);
  return layer === undefined ? found : `blk.${layer}.${found}`;
}

function ggufTensors(folder: ModelFolder, type: GgufType): TensorToWrite[] {
  const { config } = folder;
  return [...folder.tensors.values()].map(({ name, shape }) => {
    const numHeads = rotaryHeads(name, config);
    const read = (): Float32Array => {
      const data = readTensor(folder, name);
      return numHeads === undefined ? data : interleaveHalves(data, numHeads, config.headDim);
    };
    // llama.cpp wants norms in F32 whatever the rest is.
    return { name: ggufName(name), shape, type: shape.length === 1 ? 'F32' : type, read };
  });
}

function rotaryHeads(name: string, config: ModelConfig): number | undefined {
  if (name.endsWith('q_proj.weight')) return config.numHeads;
  return name.endsWith('k_proj.weight') ? config.numKeyValueHeads : undefined;
}

/**
 * Hugging Face's Llama rotates element i of a head with element i + headDim / 2, llama.cpp's rotates neighbours: the
 * rows [heads, 2, headDim / 2, hidden] become [heads, headDim / 2, 2, hidden].
 */
function interleaveHalves(data: Float32Array, numHeads: number, headDim: number): Float32Array {
  const half = headDim / 2;
  const width = data.length / (numHeads * headDim);
  const result = new Float32Array(data.length);
  for (let head = 0; head < numHeads; head++) {
    for (let index = 0; index < headDim; index++) {
      const from = head * headDim + (index % 2) * half + (index >> 1);
      result.set(data.subarray(from * width, (from + 1) * width), (head * headDim + index) * width);
    }
  }
  return result;
}

function metadataOf(folder: ModelFolder, type: GgufType): [string, MetadataValue][] {
  const { config } = folder;
  const uint32 = (value: number): MetadataValue => ({ type: 'uint32', value });
  return [
    ['general.architecture', { type: 'string', value: 'llama' }],
    ['general.name', { type: 'string', value: folder.name }],
    ['general.file_type', uint32(TENSOR_TYPES[type])],
    ['llama.vocab_size', uint32(config.vocabSize)],
    ['llama.context_length', uint32(config.maxPositions)],
    ['llama.embedding_length', uint32(config.hiddenSize)],
    ['llama.block_count', uint32(config.numLayers)],
    ['llama.feed_forward_length', uint32(config.intermediateSize)],
    ['llama.attention.head_count', uint32(config.numHeads)],
    ['llama.attention.head_count_kv', uint32(config.numKeyValueHeads)],
    ['llama.attention.key_length', uint32(config.headDim)],
    ['llama.attention.value_length', uint32(config.headDim)],
    ['llama.attention.layer_norm_rms_epsilon', { type: 'float32', value: config.rmsNormEps }],
    ['llama.rope.dimension_count', uint32(config.headDim)],
    ['llama.rope.freq_base', { type: 'float32', value: config.ropeTheta }],
    ...vocabularyMetadata(folder),
  ];
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

function vocabularyMetadata({ path, config }: ModelFolder): [string, MetadataValue][] {
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
  const uint32 = (value: number): MetadataValue => ({ type: 'uint32', value });
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

/** Little-endian values one after another. */
class Bytes {
  #chunks: Uint8Array[] = [];

  #number(numBytes: number, set: (view: DataView) => void): void {
    const chunk = new Uint8Array(numBytes);
    set(new DataView(chunk.buffer));
    this.#chunks.push(chunk);
  }

  uint32(value: number): void {
    this.#number(4, (view) => view.setUint32(0, value, true));
  }

  int32(value: number): void {
    this.#number(4, (view) => view.setInt32(0, value, true));
  }

  float32(value: number): void {
    this.#number(4, (view) => view.setFloat32(0, value, true));
  }

  uint64(value: number): void {
    this.#number(8, (view) => view.setBigUint64(0, BigInt(value), true));
  }

  string(value: string): void {
    const bytes = new TextEncoder().encode(value);
    this.uint64(bytes.length);
    this.#chunks.push(bytes);
  }

  bool(value: boolean): void {
    this.#chunks.push(Uint8Array.of(value ? 1 : 0));
  }

  all(): Uint8Array {
    return new Uint8Array(Buffer.concat(this.#chunks));
  }
}

const VALUE_TYPES = { uint32: 4, int32: 5, float32: 6, bool: 7, string: 8, array: 9 } as const;

function writeValue(bytes: Bytes, metadata: MetadataValue): void {
  if (metadata.type === 'strings' || metadata.type === 'int32s') {
    bytes.uint32(VALUE_TYPES.array);
    bytes.uint32(metadata.type === 'strings' ? VALUE_TYPES.string : VALUE_TYPES.int32);
    bytes.uint64(metadata.value.length);
  } else bytes.uint32(VALUE_TYPES[metadata.type]);
  switch (metadata.type) {
    case 'uint32':
      return bytes.uint32(metadata.value);
    case 'float32':
      return bytes.float32(metadata.value);
    case 'bool':
      return bytes.bool(metadata.value);
    case 'string':
      return bytes.string(metadata.value);
    case 'strings':
      return metadata.value.forEach((value) => bytes.string(value));
    case 'int32s':
      return metadata.value.forEach((value) => bytes.int32(value));
  }
}

function ggufHeader(
  metadata: readonly [string, MetadataValue][],
  tensors: readonly TensorToWrite[],
): Uint8Array {
  const bytes = new Bytes();
  bytes.uint32(MAGIC);
  bytes.uint32(VERSION);
  bytes.uint64(tensors.length);
  bytes.uint64(metadata.length);
  for (const [key, value] of metadata) {
    bytes.string(key);
    writeValue(bytes, value);
  }
  let offset = 0;
  for (const { name, shape, type } of tensors) {
    bytes.string(name);
    bytes.uint32(shape.length);
    for (const length of shape.toReversed()) bytes.uint64(length);
    bytes.uint32(TENSOR_TYPES[type]);
    bytes.uint64(offset);
    const numBytes = shape.reduce((product, length) => product * length, type === 'F32' ? 4 : 2);
    offset += ALIGNMENT * Math.ceil(numBytes / ALIGNMENT);
  }
  return padded(bytes.all());
}
