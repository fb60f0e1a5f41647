import {
  closeSync,
  fsyncSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ModelFolder } from '../folder.ts';
import { readFully } from '../safetensors.ts';
import { safetensorsHeader, writeAll } from '../safetensors-writer.ts';
import type { TensorHeader } from '../safetensors-writer.ts';
import { readRows, tensorsOf } from '../weights.ts';
import type { StoredTensor } from '../weights.ts';
import { packRows } from './pack.ts';
import type { PackedRows } from './pack.ts';
import { BLOCK_SIZE, numBlocks, numScales, productName, productShapes } from './scheme.ts';
import type { ProductShape, Quantization } from './scheme.ts';

/** A product's weights as the graph takes them. */
export interface QuantizedProduct extends ProductShape {
  /** U8 [out, blocks, BLOCK_SIZE · bits / 8] */
  readonly packed: StoredTensor;
  /** F32 [out · blocks] */
  readonly scales: StoredTensor;
}

export interface QuantizedWeights {
  /** By `productName`. */
  readonly products: ReadonlyMap<string, QuantizedProduct>;
  /** To be called once they are loaded: removes what was written for that alone. */
  readonly release: () => void;
}

/** In the model's folder, beside what else is kept there. */
export const QUANTIZED_FOLDER = '.quantized';
/** Counts changes of how weights are packed. */
const FORMAT_VERSION = '1';
const CHUNK_ELEMENTS = 1 << 18;

type Source = Pick<ModelFolder, 'path' | 'name' | 'config' | 'tensors' | 'contentHash'>;

/**
 * The folder's weights in fewer bits, in a file that is mapped as the folder's own are. It is written once, a few rows
 * at a time, and kept in the folder; where that can't be written to, in a temporary one.
 */
export function quantizedWeights(folder: Source, quantization: Quantization): QuantizedWeights {
  const shapes = productShapes(folder.config, quantization);
  const header = headerOf(shapes, folder.contentHash);
  const fileName = `${quantization}.safetensors`;
  const kept = join(folder.path, QUANTIZED_FOLDER);
  const isThere =
    isWritten(join(kept, fileName), header) || tryToWrite(kept, fileName, header, shapes, folder);
  if (isThere) return { products: productsIn(kept, fileName, shapes), release: () => undefined };
  const temporary = mkdtempSync(join(tmpdir(), 'tidar-quantized-'));
  const release = (): void => removeFolder(temporary);
  try {
    writeQuantized(join(temporary, fileName), header, shapes, folder);
    return { products: productsIn(temporary, fileName, shapes), release };
  } catch (error) {
    release();
    throw error;
  }
}

/** Windows keeps files that are mapped; the system clears its temporary folder then. */
function removeFolder(path: string): void {
  try {
    rmSync(path, { recursive: true, force: true });
  } catch {
    return;
  }
}

/** Opens a folder with its weights in as many bits as were asked for. */
export async function withQuantizedWeights<T>(
  folder: ModelFolder,
  open: (folder: ModelFolder) => Promise<T>,
): Promise<T> {
  if (folder.quantization === undefined) return open(folder);
  const quantized = quantizedWeights(folder, folder.quantization);
  try {
    return await open({ ...folder, quantized });
  } finally {
    quantized.release();
  }
}

/** What the file begins with: names, places and shapes, and the content that it was made from. */
function headerOf(shapes: readonly ProductShape[], contentHash: string): Uint8Array {
  const scales = shapes.map((shape): TensorHeader => ({
    name: `${productName(shape.weights)}.scales`,
    dtype: 'F32',
    shape: [numScales(shape)],
  }));
  const packed = shapes.map((shape): TensorHeader => ({
    name: `${productName(shape.weights)}.packed`,
    dtype: 'U8',
    shape: [shape.numOutputs, numBlocks(shape), (BLOCK_SIZE * shape.numBits) / 8],
  }));
  // float32 first, which keeps every tensor aligned to its element.
  return safetensorsHeader([...scales, ...packed], { content: contentHash, version: FORMAT_VERSION });
}

/** Nothing but the same weights, packed in the same way, has the same header. */
function isWritten(path: string, header: Uint8Array): boolean {
  if (statSync(path, { throwIfNoEntry: false })?.isFile() !== true) return false;
  const file = openSync(path, 'r');
  try {
    const found = new Uint8Array(header.length);
    return readFully(file, found, 0) && Buffer.compare(found, header) === 0;
  } finally {
    closeSync(file);
  }
}

/** False where the folder takes no files. */
function tryToWrite(
  folder: string,
  fileName: string,
  header: Uint8Array,
  shapes: readonly ProductShape[],
  source: Source,
): boolean {
  try {
    mkdirSync(folder, { recursive: true });
    writeQuantized(join(folder, fileName), header, shapes, source);
    return true;
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? '';
    if (NOT_WRITABLE.has(code)) return false;
    throw error;
  }
}
const NOT_WRITABLE = new Set(['EACCES', 'EPERM', 'EROFS', 'ENOSPC', 'EDQUOT', 'ENOTDIR', 'EEXIST']);

function writeQuantized(
  path: string,
  header: Uint8Array,
  shapes: readonly ProductShape[],
  source: Source,
): void {
  const temporary = `${path}.${process.pid}.tmp`;
  try {
    const file = openSync(temporary, 'w');
    try {
      writeTensors(file, header, shapes, source);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(temporary, path);
  } finally {
    rmSync(temporary, { force: true });
  }
}

function writeTensors(
  file: number,
  header: Uint8Array,
  shapes: readonly ProductShape[],
  source: Source,
): void {
  writeAll(file, header, 0);
  let scalesAt = header.length;
  let packedAt = scalesAt + shapes.reduce((sum, shape) => sum + 4 * numScales(shape), 0);
  for (const shape of shapes) {
    for (const { packed, scales } of packedChunks(shape, source)) {
      writeAll(file, new Uint8Array(scales.buffer), scalesAt);
      writeAll(file, packed, packedAt);
      scalesAt += scales.byteLength;
      packedAt += packed.byteLength;
    }
  }
}

/** A few rows at a time: float32 of a large table would be gigabytes. */
function* packedChunks(
  { weights, numInputs, numBits }: ProductShape,
  { tensors }: Source,
): Generator<PackedRows> {
  const numChunkRows = Math.max(1, Math.floor(CHUNK_ELEMENTS / numInputs));
  for (const name of weights) {
    const tensor = tensors.get(name);
    if (tensor === undefined) throw new RangeError(`the model has no tensor ${name}`);
    const [numRows = 0] = tensor.shape;
    for (let start = 0; start < numRows; start += numChunkRows) {
      const rows = readRows(tensor, start, Math.min(numRows, start + numChunkRows));
      yield packRows(rows, numInputs, numBits);
    }
  }
}

function productsIn(
  folder: string,
  fileName: string,
  shapes: readonly ProductShape[],
): ReadonlyMap<string, QuantizedProduct> {
  const found = new Map(tensorsOf(folder, fileName).map((tensor) => [tensor.name, tensor]));
  return new Map(
    shapes.map((shape) => {
      const name = productName(shape.weights);
      const packed = found.get(`${name}.packed`);
      const scales = found.get(`${name}.scales`);
      if (packed === undefined || scales === undefined) throw new Error(`${fileName} has no ${name}`);
      return [name, { ...shape, packed: { ...packed, dtype: 'U8' }, scales: { ...scales, dtype: 'F32' } }];
    }),
  );
}
