import type { ColumnValues } from './host-cache.ts';

interface Entry {
  readonly salt: string;
  readonly tokenIds: readonly number[];
  readonly column: number;
  numPins: number;
}

export interface SlowHit {
  readonly columns: readonly number[];
  release(): void;
}

/**
 * What PrefixCache means where each saved piece is one column: a plain list of prefixes, the least recently used
 * first, each with its last column.
 */
export class SlowPrefixCache {
  #entries: Entry[] = [];
  readonly #maxColumns: number;
  readonly #values: ColumnValues;

  constructor(maxColumns: number, values: ColumnValues) {
    this.#maxColumns = maxColumns;
    this.#values = values;
  }

  get numColumns(): number {
    return this.#entries.length;
  }

  lookup(salt: string, tokenIds: readonly number[]): SlowHit {
    const path = this.#path(salt, tokenIds.slice(0, -1));
    const last = path.at(-1);
    if (last === undefined) return { columns: [], release: () => {} };
    this.#touch(path);
    last.numPins += 1;
    let isOpen = true;
    const release = (): void => {
      if (!isOpen) return;
      isOpen = false;
      last.numPins -= 1;
    };
    return { columns: path.map(({ column }) => column), release };
  }

  insert(salt: string, tokenIds: readonly number[], numTokens: number): number {
    const columns = this.#values.of(salt, tokenIds, numTokens);
    const known = this.#path(salt, tokenIds.slice(0, numTokens));
    this.#touch(known);
    let last = known.at(-1);
    let numSaved = 0;
    for (let at = known.length; at < numTokens && this.#makeRoom(last); at++) {
      last = { salt, tokenIds: tokenIds.slice(0, at + 1), column: columns[at] ?? 0, numPins: 0 };
      this.#entries.push(last);
      this.#touch(this.#path(salt, last.tokenIds));
      numSaved += 1;
    }
    return numSaved;
  }

  #path(salt: string, tokenIds: readonly number[]): Entry[] {
    return this.#entries
      .filter((entry) => entry.salt === salt && isPrefix(entry.tokenIds, tokenIds))
      .toSorted((a, b) => a.tokenIds.length - b.tokenIds.length);
  }

  /** The end of a path counts as used before what it stands on. */
  #touch(path: readonly Entry[]): void {
    this.#entries = [...this.#entries.filter((entry) => !path.includes(entry)), ...path.toReversed()];
  }

  #makeRoom(kept: Entry | undefined): boolean {
    while (this.#entries.length + 1 > this.#maxColumns) {
      const oldest = this.#entries.find(
        (entry) => entry !== kept && entry.numPins === 0 && this.#above(entry).length === 1,
      );
      if (oldest === undefined) return false;
      this.#entries = this.#entries.filter((entry) => entry !== oldest);
    }
    return true;
  }

  /** All that stand on an entry, itself included. */
  #above(entry: Entry): Entry[] {
    return this.#entries.filter(
      ({ salt, tokenIds }) => salt === entry.salt && isPrefix(entry.tokenIds, tokenIds),
    );
  }
}

function isPrefix(start: readonly number[], tokenIds: readonly number[]): boolean {
  return start.length <= tokenIds.length && start.every((tokenId, index) => tokenId === tokenIds[index]);
}
