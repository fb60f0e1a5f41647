import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import type { FloatDtype } from './float16.ts';
import { MAX_FLOAT16, toBfloat16Bits, toFloat16Bits } from './float16.ts';
import { LENGTH_BYTES, numElements } from './safetensors.ts';

/** A tensor to be written; the data is always float32 and is rounded on the way to what dtype says. */
export interface TensorToWrite extends TensorHeader {
  dtype: FloatDtype;
  data: Float32Array;
}

/** What a file's header says of a tensor beside its place. */
export interface TensorHeader {
  name: string;
  dtype: FloatDtype | 'U8';
  shape: readonly number[];
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
  const header = safetensorsHeader(ordered, metadata);
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

function elementBytes({ dtype }: TensorHeader): number {
  return dtype === 'F32' ? 4 : dtype === 'U8' ? 1 : 2;
}

export function tensorBytes(tensor: TensorHeader): number {
  return elementBytes(tensor) * numElements(tensor.shape);
}

function checkTensor({ name, dtype, shape, data }: TensorToWrite): void {
  const numExpected = numElements(shape);
  if (numExpected !== data.length) {
    throw new RangeError(
      `tensor ${name}: found ${data.length} values, expected ${numExpected} for shape [${shape.join(', ')}].`,
    );
  }
  if (dtype === 'F16' && data.some((value) => Math.abs(value) > MAX_FLOAT16)) {
    throw new RangeError(`tensor ${name}: a value lies beyond float16's range of ±${MAX_FLOAT16}.`);
  }
}

/** The start of a file up to its data, which follows tensor by tensor. */
export function safetensorsHeader(
  tensors: readonly TensorHeader[],
  metadata?: Record<string, string>,
): Uint8Array {
  let offset = 0;
  const entries = tensors.map((tensor): [string, object] => {
    const start = offset;
    offset += tensorBytes(tensor);
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

/** float32 values as a file has them, rounded to nearest. */
export function toBytes({ dtype, data }: Pick<TensorToWrite, 'dtype' | 'data'>): Uint8Array {
  const values = dtype === 'F32' ? data : dtype === 'F16' ? toFloat16Bits(data) : toBfloat16Bits(data);
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}

function writeDurably(path: string, chunks: readonly Uint8Array[]): void {
  const file = openSync(path, 'w');
  try {
    for (const chunk of chunks) writeAll(file, chunk);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

/** Writes where the last write ended, or from `position` on. */
export function writeAll(file: number, bytes: Uint8Array, position?: number): void {
  for (let numWritten = 0; numWritten < bytes.length;) {
    const at = position === undefined ? null : position + numWritten;
    numWritten += writeSync(file, bytes, numWritten, bytes.length - numWritten, at);
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
