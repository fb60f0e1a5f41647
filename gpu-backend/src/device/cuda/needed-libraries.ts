import { closeSync, openSync, readSync } from 'node:fs';

const HEADER_BYTES = 64;
const LOAD = 1;
const DYNAMIC = 2;
const NEEDED = 1n;
const STRING_TABLE = 5n;
const STRING_BYTES = 10n;

interface Segment {
  readonly type: number;
  readonly offset: number;
  readonly address: number;
  readonly numBytes: number;
}

/** The libraries that a 64-bit ELF file is linked to, as its dynamic section lists them. */
export function neededLibraries(path: string): string[] {
  const file = openSync(path, 'r');
  const read = (offset: number, numBytes: number): Buffer => {
    const bytes = Buffer.alloc(numBytes);
    if (readSync(file, bytes, 0, numBytes, offset) < numBytes) throw new Error(`${path} ends too early`);
    return bytes;
  };
  try {
    const segments = readSegments(read);
    const dynamic = segments.find(({ type }) => type === DYNAMIC);
    if (dynamic === undefined) return [];
    const entries = readEntries(read(dynamic.offset, dynamic.numBytes));
    const valueOf = (tag: bigint): number => Number(entries.find(([each]) => each === tag)?.[1] ?? 0n);
    const strings = read(offsetOf(valueOf(STRING_TABLE), segments), valueOf(STRING_BYTES));
    return entries
      .filter(([tag]) => tag === NEEDED)
      .map(([, at]) => strings.toString('latin1', Number(at), strings.indexOf(0, Number(at))));
  } finally {
    closeSync(file);
  }
}

function readSegments(read: (offset: number, numBytes: number) => Buffer): Segment[] {
  const header = read(0, HEADER_BYTES);
  const [start, size, count] = [
    Number(header.readBigUInt64LE(32)),
    header.readUInt16LE(54),
    header.readUInt16LE(56),
  ];
  const table = read(start, size * count);
  return Array.from({ length: count }, (_, index) => {
    const at = index * size;
    return {
      type: table.readUInt32LE(at),
      offset: Number(table.readBigUInt64LE(at + 8)),
      address: Number(table.readBigUInt64LE(at + 16)),
      numBytes: Number(table.readBigUInt64LE(at + 32)),
    };
  });
}

function readEntries(bytes: Buffer): [tag: bigint, value: bigint][] {
  return Array.from({ length: bytes.length >> 4 }, (_, index) => [
    bytes.readBigUInt64LE(16 * index),
    bytes.readBigUInt64LE(16 * index + 8),
  ]);
}

/** The dynamic section speaks of addresses; the segment that an address lies in says where it is in the file. */
function offsetOf(address: number, segments: readonly Segment[]): number {
  const segment = segments.find(
    ({ type, address: start, numBytes }) => type === LOAD && address >= start && address < start + numBytes,
  );
  return segment === undefined ? address : address - segment.address + segment.offset;
}
