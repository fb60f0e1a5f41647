import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { basename } from 'node:path';
import { z } from 'zod';
import { invalidFile } from './json-file.ts';

/** A tensor of the file. Its bytes are file[byteOffset, byteOffset + byteLength): they are never read here. */
export interface SafetensorsEntry {
  name: string;
  dtype: string;
  shape: number[];
  byteOffset: number;
  byteLength: number;
}

export interface SafetensorsHeader {
  entries: ReadonlyMap<string, SafetensorsEntry>;
  metadata: Record<string, string>;
}

/** Bits of one element, for every dtype of the format. */
const DTYPE_BITS: ReadonlyMap<string, number> = new Map([
  ...['F4'].map((name): [string, number] => [name, 4]),
  ...['F6_E2M3', 'F6_E3M2'].map((name): [string, number] => [name, 6]),
  ...['BOOL', 'U8', 'I8', 'F8_E5M2', 'F8_E4M3', 'F8_E8M0'].map((name): [string, number] => [name, 8]),
  ...['I16', 'U16', 'F16', 'BF16'].map((name): [string, number] => [name, 16]),
  ...['I32', 'U32', 'F32'].map((name): [string, number] => [name, 32]),
  ...['I64', 'U64', 'F64', 'C64'].map((name): [string, number] => [name, 64]),
]);

export function numElements(shape: readonly number[]): number {
  return shape.reduce((product, length) => product * length, 1);
}

/** The header is preceded by its own length, a u64. */
export const LENGTH_BYTES = 8;
/** The format's own limit. */
const MAX_HEADER_BYTES = 100_000_000;

const count = z.int().nonnegative();
const entrySchema = z.strictObject({
  dtype: z.string(),
  shape: z.array(count),
  data_offsets: z.tuple([count, count]),
});
const metadataSchema = z.record(z.string(), z.string());

/** Reads and checks one file's header. Throws `model_folder_invalid` with a sentence that names the file. */
export function readSafetensorsHeader(path: string): SafetensorsHeader {
  const fileName = basename(path);
  const file = openForReading(path, fileName);
  try {
    const stat = fstatSync(file);
    if (!stat.isFile()) throw invalidFile(fileName, 'is not a file.');
    const headerBytes = readHeaderBytes(file, stat.size, fileName);
    return parseHeader(headerBytes, stat.size, fileName);
  } finally {
    closeSync(file);
  }
}

function openForReading(path: string, fileName: string): number {
  try {
    return openSync(path, 'r');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ENOENT') throw invalidFile(fileName, 'the file is missing.');
    throw invalidFile(fileName, `cannot be opened (${code ?? 'unknown reason'}).`);
  }
}

/** Fills `bytes` from the file at `position`; false where the file ends first. */
export function readFully(file: number, bytes: Uint8Array, position: number): boolean {
  let numRead = 0;
  while (numRead < bytes.length) {
    const got = readSync(file, bytes, numRead, bytes.length - numRead, position + numRead);
    if (got === 0) return false;
    numRead += got;
  }
  return true;
}

function readHeaderBytes(file: number, fileSize: number, fileName: string): Uint8Array {
  const prefix = new Uint8Array(LENGTH_BYTES);
  if (!readFully(file, prefix, 0)) {
    throw invalidFile(
      fileName,
      `truncated: found ${fileSize} bytes, expected at least ${LENGTH_BYTES} for the header's length.`,
    );
  }
  const headerLength = new DataView(prefix.buffer).getBigUint64(0, true);
  if (headerLength > BigInt(MAX_HEADER_BYTES)) {
    throw invalidFile(
      fileName,
      `is not a safetensors file: found a header length of ${headerLength}, expected at most ${MAX_HEADER_BYTES}.`,
    );
  }
  const header = new Uint8Array(Math.min(Number(headerLength), Math.max(0, fileSize - LENGTH_BYTES)));
  if (header.length < Number(headerLength) || !readFully(file, header, LENGTH_BYTES)) {
    throw invalidFile(
      fileName,
      `truncated in its header: found ${fileSize} bytes, expected at least ${LENGTH_BYTES + Number(headerLength)}.`,
    );
  }
  return header;
}

function parseJson(bytes: Uint8Array, fileName: string): Record<string, unknown> {
  try {
    const json: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
    if (typeof json === 'object' && json !== null && !Array.isArray(json)) {
      return json as Record<string, unknown>;
    }
  } catch {
    // Falls through to the one sentence: the parser's own message quotes binary data.
  }
  throw invalidFile(fileName, 'is not a safetensors file: expected a header that is a JSON object.');
}

function parseHeader(bytes: Uint8Array, fileSize: number, fileName: string): SafetensorsHeader {
  const dataStart = LENGTH_BYTES + bytes.length;
  const { __metadata__: rawMetadata, ...rawEntries } = parseJson(bytes, fileName);
  const metadata = metadataSchema.optional().safeParse(rawMetadata);
  if (!metadata.success) throw invalidFile(fileName, '__metadata__ in the header: expected strings only.');
  const entries = Object.entries(rawEntries).map(([name, raw]) => parseEntry(name, raw, dataStart, fileName));
  checkCoverage(entries, dataStart, fileSize, fileName);
  return { entries: new Map(entries.map((entry) => [entry.name, entry])), metadata: metadata.data ?? {} };
}

function parseEntry(name: string, raw: unknown, dataStart: number, fileName: string): SafetensorsEntry {
  const parsed = entrySchema.safeParse(raw);
  if (!parsed.success) {
    throw invalidFile(
      fileName,
      `tensor ${name}: found a malformed header entry, expected dtype, shape and data_offsets.`,
    );
  }
  const { dtype, shape, data_offsets: offsets } = parsed.data;
  const bits = DTYPE_BITS.get(dtype);
  if (bits === undefined) {
    throw invalidFile(
      fileName,
      `tensor ${name}: found the unknown dtype "${dtype}", expected F32, F16 or BF16.`,
    );
  }
  const expectedBytes = (numElements(shape) * bits) / 8;
  const byteLength = offsets[1] - offsets[0];
  if (byteLength !== expectedBytes) {
    throw invalidFile(
      fileName,
      `tensor ${name}: found ${byteLength} bytes, expected ${expectedBytes} for ${dtype} [${shape.join(', ')}].`,
    );
  }
  return { name, dtype, shape, byteOffset: dataStart + offsets[0], byteLength };
}

/** The format forbids overlaps, holes and bytes that belong to no tensor: what it says must be all there is. */
function checkCoverage(
  entries: readonly SafetensorsEntry[],
  dataStart: number,
  fileSize: number,
  fileName: string,
): void {
  const inFileOrder = entries.toSorted((a, b) => a.byteOffset - b.byteOffset || a.byteLength - b.byteLength);
  let end = dataStart;
  for (const { name, byteOffset, byteLength } of inFileOrder) {
    if (byteOffset !== end) {
      const problem = byteOffset < end ? 'overlaps the tensor before it' : 'leaves unused bytes before it';
      throw invalidFile(
        fileName,
        `tensor ${name} ${problem}: found its data at byte ${byteOffset}, expected ${end}.`,
      );
    }
    end = byteOffset + byteLength;
    if (end > fileSize) {
      throw invalidFile(
        fileName,
        `truncated: tensor ${name} is expected to end at byte ${end}, found a file of ${fileSize} bytes.`,
      );
    }
  }
  if (end !== fileSize) {
    throw invalidFile(fileName, `found ${fileSize} bytes, expected ${end}: the last tensor ends there.`);
  }
}
