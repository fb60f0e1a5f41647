import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { openTokenFile, writeTokenFile } from '../data/token-file.ts';

/** Token ids of many documents, one after another, of a vocabulary of any size. */
export interface TokenText {
  readonly ids: Uint16Array | Uint32Array;
  /** Where each document starts. */
  readonly documentStarts: Uint32Array;
}

export type TextName = 'train' | 'valid';

const MAX_NARROW_VOCAB = 2 ** 16;

const narrowPath = (folder: string, name: TextName): string => path.join(folder, `${name}.bin`);
/** uint32 ids: for vocabularies whose ids don't fit 16 bits. */
const widePath = (folder: string, name: TextName): string => path.join(folder, `${name}.u32.bin`);
const wideIndexPath = (folder: string, name: TextName): string => path.join(folder, `${name}.u32.index.bin`);

export function hasTokenText(folder: string, name: TextName): boolean {
  return existsSync(narrowPath(folder, name)) || existsSync(widePath(folder, name));
}

export function openTokenText(folder: string, name: TextName): TokenText {
  if (!existsSync(widePath(folder, name))) return openTokenFile(narrowPath(folder, name));
  return {
    ids: readWords(widePath(folder, name)),
    documentStarts: readWords(wideIndexPath(folder, name)),
  };
}

/** Writes 16 bits an id where the vocabulary allows it, else 32, and where each document starts. */
export function writeTokenText(
  folder: string,
  name: TextName,
  documents: readonly (readonly number[])[],
  vocabSize: number,
): void {
  if (vocabSize <= MAX_NARROW_VOCAB) {
    writeTokenFile(narrowPath(folder, name), documents);
    return;
  }
  const documentStarts = new Uint32Array(documents.length);
  const ids = new Uint32Array(documents.reduce((sum, each) => sum + each.length, 0));
  let start = 0;
  documents.forEach((document, index) => {
    documentStarts[index] = start;
    ids.set(document, start);
    start += document.length;
  });
  writeFileSync(widePath(folder, name), new Uint8Array(ids.buffer));
  writeFileSync(wideIndexPath(folder, name), new Uint8Array(documentStarts.buffer));
}

function readWords(file: string): Uint32Array {
  // What readFileSync gives may lie at any alignment.
  return new Uint32Array(new Uint8Array(readFileSync(file)).buffer);
}

/** Throws RangeError for ids that the model has no row for. */
export function assertIdsBelow({ ids }: TokenText, vocabSize: number, folder: string): void {
  for (const id of ids) {
    if (id >= vocabSize)
      throw new RangeError(
        `${folder} holds the token id ${id}; the model's vocabulary ends before ${vocabSize}`,
      );
  }
}
