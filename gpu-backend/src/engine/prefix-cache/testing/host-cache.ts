import type { ColumnRange, KvCache, SavedColumns } from '../../../device/device.ts';

const NUM_BYTES_PER_COLUMN = 8;

/** Memory that caches and saved columns of one test take. */
export class HostMemory {
  readonly numBytesPerColumn = NUM_BYTES_PER_COLUMN;
  numSavedBytes = 0;

  createCache(numSlots: number, capacity: number): HostCache {
    return new HostCache(this, numSlots, capacity);
  }
}

/** A cache with one number for each column, so that tests can tell whose column it is. */
export class HostCache implements KvCache {
  readonly numSlots: number;
  readonly capacity: number;
  readonly #memory: HostMemory;
  readonly #columns: Float64Array;

  constructor(memory: HostMemory, numSlots: number, capacity: number) {
    this.#memory = memory;
    this.numSlots = numSlots;
    this.capacity = capacity;
    this.#columns = new Float64Array(numSlots * capacity);
  }

  get numBytes(): number {
    return this.#columns.byteLength;
  }

  /** A slot's columns, to read and write. */
  slot(slot: number): Float64Array {
    if (slot < 0 || slot >= this.numSlots) throw new RangeError(`no slot ${slot}`);
    return this.#columns.subarray(slot * this.capacity, (slot + 1) * this.capacity);
  }

  copyColumns(slot: number, range: ColumnRange, target: KvCache, targetSlot: number): void {
    if (!(target instanceof HostCache)) throw new TypeError('not a cache of the host');
    target.slot(targetSlot).set(this.#read(slot, range), range.start);
  }

  save(slot: number, range: ColumnRange): HostColumns {
    return new HostColumns(this.#memory, this.#read(slot, range).slice());
  }

  restore(slot: number, column: number, saved: SavedColumns, { start, end }: ColumnRange): void {
    if (!(saved instanceof HostColumns)) throw new TypeError('not columns of the host');
    if (start < 0 || end > saved.numColumns) throw new RangeError(`no saved columns [${start}, ${end})`);
    this.slot(slot).set(saved.values.subarray(start, end), column);
  }

  dispose(): void {}

  #read(slot: number, { start, end }: ColumnRange): Float64Array {
    if (start < 0 || end > this.capacity || start >= end)
      throw new RangeError(`no columns [${start}, ${end})`);
    return this.slot(slot).subarray(start, end);
  }
}

class HostColumns implements SavedColumns {
  readonly #memory: HostMemory;
  #values: Float64Array | undefined;
  readonly numColumns: number;

  constructor(memory: HostMemory, values: Float64Array) {
    this.#memory = memory;
    this.#values = values;
    this.numColumns = values.length;
    memory.numSavedBytes += this.numBytes;
  }

  get values(): Float64Array {
    if (this.#values === undefined) throw new Error('saved columns were read after they were disposed of');
    return this.#values;
  }

  get numBytes(): number {
    return this.numColumns * NUM_BYTES_PER_COLUMN;
  }

  dispose(): void {
    if (this.#values === undefined) throw new Error('saved columns were disposed of twice');
    this.#values = undefined;
    this.#memory.numSavedBytes -= this.numBytes;
  }
}

/** What a column must hold: a number for each (salt, prefix), since a column depends on all tokens up to its own. */
export class ColumnValues {
  readonly #byPrefix = new Map<string, number>();

  of(salt: string, tokenIds: readonly number[], numTokens: number): Float64Array {
    const values = new Float64Array(numTokens);
    for (let end = 1; end <= numTokens; end++) {
      const key = JSON.stringify([salt, tokenIds.slice(0, end)]);
      const value = this.#byPrefix.get(key) ?? this.#byPrefix.size + 1;
      this.#byPrefix.set(key, value);
      values[end - 1] = value;
    }
    return values;
  }
}
