import { closeSync, existsSync, openSync, realpathSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import { z } from 'zod';
import type { ModelConfig } from './config.ts';
import type { FloatDtype } from './float16.ts';
import { toFloat32 } from './float16.ts';
import { invalidFile, readJson } from './json-file.ts';
import type { SafetensorsEntry } from './safetensors.ts';
import { readFully, readSafetensorsHeader } from './safetensors.ts';
import { expectedTensors, nameInFile } from './tensor-names.ts';

/** What lies in a file: bytes [byteOffset, byteOffset + byteLength) of a file, little-endian, in row-major order. */
export interface StoredTensor {
  name: string;
  dtype: FloatDtype | 'U8';
  shape: number[];
  /** Relative to the folder, for sentences. */
  fileName: string;
  /** Absolute, links resolved: a download's folder may hold links to files elsewhere. */
  path: string;
  byteOffset: number;
  byteLength: number;
}

/** One weight; `name` is as Hugging Face's Llama calls it, whatever the file does. */
export interface TensorRef extends StoredTensor {
  dtype: FloatDtype;
}

/** A tensor of a file, which nothing was asked of yet. */
export type FoundTensor = SafetensorsEntry & Pick<TensorRef, 'fileName' | 'path'>;

export const WEIGHTS_FILE = 'model.safetensors';
export const SHARD_INDEX_FILE = 'model.safetensors.index.json';

const shardName = z.string().regex(/^[^/\\]+\.safetensors$/);
const indexSchema = z.looseObject({ weight_map: z.record(z.string(), shardName) });

/** The weight files of a folder: one, or those that an index names. */
export function weightFiles(folder: string): string[] {
  if (existsSync(join(folder, WEIGHTS_FILE)) || !existsSync(join(folder, SHARD_INDEX_FILE))) {
    return [WEIGHTS_FILE];
  }
  const parsed = indexSchema.safeParse(readJson(folder, SHARD_INDEX_FILE));
  if (parsed.success) return [...new Set(Object.values(parsed.data.weight_map))].toSorted();
  throw invalidFile(SHARD_INDEX_FILE, 'expected weight_map, from tensors to .safetensors files beside it.');
}

/** Every tensor that the architecture needs, by its canonical name; refuses a folder that has others or lacks one. */
export function findTensors(folder: string, config: ModelConfig): ReadonlyMap<string, TensorRef> {
  const files = weightFiles(folder);
  const found = new Map<string, FoundTensor>();
  for (const fileName of files) {
    for (const tensor of tensorsOf(folder, fileName)) {
      const other = found.get(tensor.name);
      if (other) throw invalidFile(fileName, `tensor ${tensor.name} is in ${other.fileName} too.`);
      found.set(tensor.name, tensor);
    }
  }
  const whole = files[0] === WEIGHTS_FILE ? WEIGHTS_FILE : SHARD_INDEX_FILE;
  const tensors = new Map<string, TensorRef>();
  for (const [name, shape] of expectedTensors(config)) {
    const inFile = nameInFile(config.architecture, name);
    tensors.set(name, { ...checkTensor(inFile, shape, found.get(inFile), whole), name });
  }
  refuseSurprises([...found.keys()], config, whole);
  return tensors;
}

/** All tensors of one file; `fileName` is relative to the folder. */
export function tensorsOf(folder: string, fileName: string): FoundTensor[] {
  const { entries } = readSafetensorsHeader(join(folder, fileName));
  const path = realpathSync(join(folder, fileName));
  return [...entries.values()].map((entry) => ({ ...entry, fileName, path }));
}

/** A found tensor that is what is expected; `whole` is what lacks it where none was found. */
export function checkTensor(
  name: string,
  shape: readonly number[],
  found: FoundTensor | undefined,
  whole: string,
): TensorRef {
  const expected = `[${shape.join(', ')}]`;
  if (found === undefined) {
    throw invalidFile(whole, `tensor ${name} is missing; expected one of shape ${expected}.`);
  }
  const { dtype, fileName } = found;
  if (found.shape.join() !== shape.join()) {
    const shapes = `has shape [${found.shape.join(', ')}]; expected ${expected}`;
    throw invalidFile(fileName, `tensor ${name} ${shapes} by config.json.`);
  }
  if (dtype === 'F32' || dtype === 'F16' || dtype === 'BF16') return { ...found, dtype };
  throw invalidFile(fileName, `tensor ${name} has dtype ${dtype}; expected F32, F16 or BF16.`);
}

/** A tensor that nothing would use means that the config doesn't describe this model. */
function refuseSurprises(names: readonly string[], config: ModelConfig, whole: string): void {
  const { architecture, tieWordEmbeddings } = config;
  const expected = new Set([...expectedTensors(config).keys()].map((name) => nameInFile(architecture, name)));
  const head = nameInFile(architecture, 'lm_head.weight');
  const surprises = names.filter(
    (name) =>
      !expected.has(name) &&
      // A tied model may still carry the copy; older Llama files carry the rotary frequencies.
      !(tieWordEmbeddings && name === head) &&
      !name.endsWith('rotary_emb.inv_freq'),
  );
  if (surprises.length === 0) return;
  const shown = surprises.slice(0, 3).join(', ');
  const more = surprises.length > 3 ? ` and ${surprises.length - 3} more` : '';
  throw invalidFile(
    whole,
    `found tensors that ${architecture} by config.json does not have: ${shown}${more}.`,
  );
}

/** Reads one weight into memory as float32. */
export function readTensorRef(tensor: TensorRef): Float32Array {
  return readRows(tensor, 0, tensor.shape[0] ?? 1);
}

/** Reads rows [start, end) of a weight as float32. */
export function readRows(tensor: TensorRef, start: number, end: number): Float32Array {
  const rowBytes = tensor.byteLength / (tensor.shape[0] ?? 1);
  const bytes = new Uint8Array((end - start) * rowBytes);
  const file = openSync(tensor.path, 'r');
  try {
    if (!readFully(file, bytes, tensor.byteOffset + start * rowBytes)) {
      throw invalidFile(
        tensor.fileName,
        `tensor ${tensor.name}: the file became shorter after it was opened.`,
      );
    }
  } finally {
    closeSync(file);
  }
  return toFloat32(bytes.buffer, tensor.dtype);
}

/**
 * The folder that all of the tensors' files lie in: onnxruntime maps only what lies, links resolved, in the one that
 * it is given.
 */
export function commonFolder(tensors: Iterable<Pick<TensorRef, 'path'>>): string {
  let common: string | undefined;
  for (const { path } of tensors) {
    common ??= dirname(path);
    while (!path.startsWith(common.endsWith(sep) ? common : common + sep)) common = dirname(common);
  }
  return common ?? sep;
}

/** A file's place in that folder, as ONNX writes it. */
export function placeIn(folder: string, path: string): string {
  return relative(folder, path).split(sep).join('/');
}
