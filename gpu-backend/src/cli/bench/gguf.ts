import { closeSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import type { ModelConfig } from '../../model/config.ts';
import { toFloat16Bits } from '../../model/float16.ts';
import type { ModelFolder } from '../../model/folder.ts';
import { readTensor } from '../../model/folder.ts';
import { ggufArchitecture, metadataOf, rotaryFactors, TENSOR_TYPES } from './gguf-metadata.ts';
import type { GgufType, MetadataValue } from './gguf-metadata.ts';

export type { GgufType } from './gguf-metadata.ts';

const MAGIC = 0x46554747; // "GGUF", little-endian
const VERSION = 3;
const ALIGNMENT = 32;

interface TensorToWrite {
  readonly name: string;
  /** As Hugging Face has it, the slowest dimension first; the file has it reversed. */
  readonly shape: readonly number[];
  readonly type: GgufType;
  readonly read: () => Float32Array;
}

/**
 * Writes the folder's weights as GGUF version 3, llama.cpp's own file: so that both engines run the same weights. F16
 * rounds what F16 cannot hold. An adapter is left out.
 */
export function writeGguf(folder: ModelFolder, path: string, type: GgufType): void {
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
  'self_attn.q_proj.bias': 'attn_q.bias',
  'self_attn.k_proj.bias': 'attn_k.bias',
  'self_attn.v_proj.bias': 'attn_v.bias',
  'self_attn.q_norm.weight': 'attn_q_norm.weight',
  'self_attn.k_norm.weight': 'attn_k_norm.weight',
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
  const tensors = [...folder.tensors.values()].map(({ name, shape }): TensorToWrite => {
    const numHeads = rotaryHeads(name, config);
    const read = (): Float32Array => {
      const data = readTensor(folder, name);
      return numHeads === undefined ? data : interleaveHalves(data, numHeads, config.headDim);
    };
    // llama.cpp wants norms in F32 whatever the rest is.
    return { name: ggufName(name), shape, type: shape.length === 1 ? 'F32' : type, read };
  });
  const factors = rotaryFactors(config);
  if (factors === undefined) return tensors;
  const shape = [factors.length];
  return [...tensors, { name: 'rope_freqs.weight', shape, type: 'F32', read: () => factors }];
}

/** How many heads' rows are put in pairs; Qwen's are rotated in halves by llama.cpp too. */
function rotaryHeads(name: string, config: ModelConfig): number | undefined {
  if (ggufArchitecture(config).startsWith('qwen')) return undefined;
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
