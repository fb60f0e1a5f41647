import { existsSync } from 'node:fs';
import path from 'node:path';
import { openTokenFile, writeTokenFile } from '../data/token-file.ts';
import type { TokenFile } from '../data/token-file.ts';

/** Token ids of many documents, one after another, of a vocabulary of any size. */
export type TokenText = Readonly<TokenFile>;

export type TextName = 'train' | 'valid';

const MAX_NARROW_VOCAB = 2 ** 16;

const narrowPath = (folder: string, name: TextName): string => path.join(folder, `${name}.bin`);
/** uint32 ids: for vocabularies whose ids don't fit 16 bits. */
const widePath = (folder: string, name: TextName): string => path.join(folder, `${name}.u32.bin`);

export function hasTokenText(folder: string, name: TextName): boolean {
  return existsSync(narrowPath(folder, name)) || existsSync(widePath(folder, name));
}

export function openTokenText(folder: string, name: TextName): TokenText {
  const wide = widePath(folder, name);
  return existsSync(wide) ? openTokenFile(wide, Uint32Array) : openTokenFile(narrowPath(folder, name));
}

/** Writes 16 bits an id where the vocabulary allows it, else 32, and where each document starts. */
export function writeTokenText(
  folder: string,
  name: TextName,
  documents: readonly (readonly number[])[],
  vocabSize: number,
): void {
  if (vocabSize <= MAX_NARROW_VOCAB) writeTokenFile(narrowPath(folder, name), documents);
  else writeTokenFile(widePath(folder, name), documents, Uint32Array);
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
