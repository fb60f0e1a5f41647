import { readFileSync, writeFileSync } from 'node:fs';

/**
 * Token ids of many documents, one after another, as two little-endian files: `x.bin` (ids of 16 or 32 bits) and
 * `x.index.bin` (uint32, where each document starts).
 */
export interface TokenFile {
  ids: Uint16Array | Uint32Array;
  /** Document d is ids[documentStarts[d] .. documentStarts[d + 1]), the last one ends with the file. */
  documentStarts: Uint32Array;
}

/** Uint16Array or Uint32Array: how wide ids are. */
interface IdArray {
  new (length: number): Uint16Array | Uint32Array;
  new (buffer: ArrayBuffer): Uint16Array | Uint32Array;
}

/** Reads `path` (`….bin`) and the index beside it. */
export function openTokenFile(path: string, Ids: IdArray = Uint16Array): TokenFile {
  const ids = readFileSync(path);
  const starts = readFileSync(indexPath(path));
  return { ids: new Ids(copyOf(ids)), documentStarts: new Uint32Array(copyOf(starts)) };
}

/** Writes documents to `path` and the index beside it. */
export function writeTokenFile(
  path: string,
  documents: readonly (readonly number[])[],
  Ids: IdArray = Uint16Array,
): TokenFile {
  const documentStarts = new Uint32Array(documents.length);
  const numTokens = documents.reduce((sum, each) => sum + each.length, 0);
  const ids = new Ids(numTokens);
  let start = 0;
  documents.forEach((document, i) => {
    documentStarts[i] = start;
    ids.set(document, start);
    start += document.length;
  });
  writeFileSync(path, bytesOf(ids));
  writeFileSync(indexPath(path), bytesOf(documentStarts));
  return { ids, documentStarts };
}

function indexPath(path: string): string {
  if (!path.endsWith('.bin')) throw new Error(`a token file's name ends with .bin: ${path}`);
  return path.replace(/\.bin$/, '.index.bin');
}

function bytesOf(values: Uint16Array | Uint32Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}

/** A buffer of its own: what readFileSync gives may be a part of a shared pool, at any alignment. */
function copyOf(bytes: Uint8Array): ArrayBuffer {
  return new Uint8Array(bytes).buffer;
}
