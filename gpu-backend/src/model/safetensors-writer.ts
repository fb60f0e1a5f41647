import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import type { FloatDtype } from './float16.ts';
import { MAX_FLOAT16, toBfloat16Bits, toFloat16Bits } from './float16.ts';
import { LENGTH_BYTES } from './safetensors.ts';

/** A tensor to be written; the data is always float32 and is rounded on the way to what dtype says. */
export interface TensorToWrite {
  name: string;
  dtype: FloatDtype;
  shape: readonly number[];
  data: Float32Array;
}

/** The data starts at a multiple of this many bytes, so that a mapping of it is aligned for any reader. */
const DATA_ALIGNMENT = 64;

/**
 * Writes a safetensors file that is either wholly there or, after a crash, the one before: temporary file,
 * fsync, rename. F32 tensors are laid out before narrower ones, which keeps every tensor aligned to its element.
 * Throws RangeError for data that doesn't fit its shape or dtype.
 */
export function writeSafetensors(
  path: string,
  tensors: readonly TensorToWrite[],
  metadata?: Record<string, string>,
): void {
  const ordered = tensors.toSorted((a, b) => elementBytes(b) - elementBytes(a));
  ordered.forEach(checkTensor);
  const header = makeHeader(ordered, metadata);
  const temporary = `${path}.${process.pid}.tmp`;
  try {
    writeDurably(temporary, [header, ...ordered.map(toBytes)]);
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
  syncFolder(dirname(path));
}

function elementBytes(tensor: TensorToWrite): number {
  return tensor.dtype === 'F32' ? 4 : 2;
}

function checkTensor({ name, dtype, shape, data }: TensorToWrite): void {
  const numElements = shape.reduce((product, length) => product * length, 1);
  if (numElements !== data.length) {
    throw new RangeError(
      `tensor ${name}: found ${data.length} values, expected ${numElements} for shape [${shape.join(', ')}].`,
    );
  }
  if (dtype === 'F16' && data.some((value) => Math.abs(value) > MAX_FLOAT16)) {
    throw new RangeError(`tensor ${name}: a value lies beyond float16's range of ±${MAX_FLOAT16}.`);
  }
}

function makeHeader(tensors: readonly TensorToWrite[], metadata?: Record<string, string>): Uint8Array {
  let offset = 0;
  const entries = tensors.map((tensor): [string, object] => {
    const start = offset;
    offset += tensor.data.length * elementBytes(tensor);
    return [tensor.name, { dtype: tensor.dtype, shape: tensor.shape, data_offsets: [start, offset] }];
  });
  const names = new Set(tensors.map(({ name }) => name));
  if (names.size !== tensors.length) throw new RangeError('two tensors have the same name.');
  if (names.has('__metadata__')) throw new RangeError('the name __metadata__ is reserved by the format.');
  const object = Object.fromEntries([
    ...(metadata ? [['__metadata__', metadata]] : []),
    ...entries,
  ]) as object;
  const json = new TextEncoder().encode(JSON.stringify(object));
  const dataStart = Math.ceil((LENGTH_BYTES + json.length) / DATA_ALIGNMENT) * DATA_ALIGNMENT;
  // The format lets a header be padded with spaces.
  const header = new Uint8Array(dataStart).fill(0x20);
  new DataView(header.buffer).setBigUint64(0, BigInt(dataStart - LENGTH_BYTES), true);
  header.set(json, LENGTH_BYTES);
  return header;
}

function toBytes({ dtype, data }: TensorToWrite): Uint8Array {
  const values = dtype === 'F32' ? data : dtype === 'F16' ? toFloat16Bits(data) : toBfloat16Bits(data);
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}

function writeDurably(path: string, chunks: readonly Uint8Array[]): void {
  const file = openSync(path, 'w');
  try {
    for (const chunk of chunks) {
      let numWritten = 0;
      while (numWritten < chunk.length) numWritten += writeSync(file, chunk, numWritten);
    }
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

/** Makes the rename itself durable. */
function syncFolder(path: string): void {
  const folder = openSync(path, 'r');
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}
