export const SMALLEST_CAPACITY = 128;
/** Attention reads all columns of a cache: classes are as fine as growing is cheap. */
const COLUMN_UNIT = 64;
/** Beyond some columns, classes differ by this share of the power of two below them. */
const STEP_SHARE = 1 / 4;

/** What gives way to sequences: the prefix cache. */
export interface Shrinkable {
  readonly numBytes: number;
  /** Frees what is above it at once, but for what is in use. */
  setMaxBytes(maxBytes: number): void;
}

export interface MemoryBudgetOptions {
  /** What caches of sequences and the prefix cache may take together. */
  readonly maxBytes: number;
  /** What the prefix cache may take where sequences leave room. */
  readonly maxPrefixCacheBytes: number;
  /** Of one column of one sequence, all layers. */
  readonly numBytesPerColumn: number;
  /** The most columns that a sequence can need: the model's context and the most rows of a step. */
  readonly maxColumns: number;
  /** The capacity of the smallest class. */
  readonly smallestCapacity?: number;
}

/** The capacities that caches come in, the last as large as the longest sequence needs, in whole units. */
export function capacityClasses(maxColumns: number, smallestCapacity = SMALLEST_CAPACITY): number[] {
  const largest = Math.max(smallestCapacity, Math.ceil(maxColumns / COLUMN_UNIT) * COLUMN_UNIT);
  const capacities: number[] = [];
  for (let capacity = smallestCapacity; capacity < largest; capacity += stepAt(capacity))
    capacities.push(capacity);
  return [...capacities, largest];
}

function stepAt(capacity: number): number {
  return Math.max(COLUMN_UNIT, STEP_SHARE * 2 ** Math.floor(Math.log2(capacity)));
}

/**
 * Who may have how much cache memory. Sequences go first: the prefix cache has what they leave. Only numbers; the
 * caller allocates after `reserve` and frees before `release`.
 */
export class MemoryBudget {
  readonly capacities: readonly number[];
  readonly #options: MemoryBudgetOptions;
  readonly #prefixCache: Shrinkable;
  #numReservedBytes = 0;

  constructor(options: MemoryBudgetOptions, prefixCache: Shrinkable) {
    this.#options = options;
    this.#prefixCache = prefixCache;
    this.capacities = capacityClasses(options.maxColumns, options.smallestCapacity);
    prefixCache.setMaxBytes(this.#prefixCacheLimit(0));
  }

  bytesFor(capacity: number, numSlots: number): number {
    return capacity * numSlots * this.#options.numBytesPerColumn;
  }

  /** Whether it could be had if no open hit of the prefix cache were in the way. Changes nothing. */
  canReserve(numBytes: number): boolean {
    return this.#numReservedBytes + numBytes <= this.#options.maxBytes;
  }

  /** Takes memory, from the prefix cache where none is free; false, and nothing taken, where that is not enough. */
  reserve(numBytes: number): boolean {
    if (!this.canReserve(numBytes)) return false;
    const numReservedBytes = this.#numReservedBytes + numBytes;
    const limit = this.#prefixCacheLimit(numReservedBytes);
    this.#prefixCache.setMaxBytes(limit);
    if (this.#prefixCache.numBytes > limit) {
      this.#prefixCache.setMaxBytes(this.#prefixCacheLimit(this.#numReservedBytes));
      return false;
    }
    this.#numReservedBytes = numReservedBytes;
    return true;
  }

  release(numBytes: number): void {
    if (numBytes > this.#numReservedBytes) throw new RangeError(`${numBytes} bytes were not reserved`);
    this.#numReservedBytes -= numBytes;
    this.#prefixCache.setMaxBytes(this.#prefixCacheLimit(this.#numReservedBytes));
  }

  /** Throws where the caches do not add up to what is reserved, or all together exceed the limit. */
  checkIntegrity(caches: Iterable<{ readonly numBytes: number }>): void {
    let numBytes = 0;
    for (const cache of caches) numBytes += cache.numBytes;
    if (numBytes !== this.#numReservedBytes) {
      throw new Error(`caches take ${numBytes} bytes, ${this.#numReservedBytes} are reserved`);
    }
    const sum = numBytes + this.#prefixCache.numBytes;
    if (sum > this.#options.maxBytes) throw new Error(`${sum} bytes of ${this.#options.maxBytes} are taken`);
  }

  #prefixCacheLimit(numReservedBytes: number): number {
    return Math.min(this.#options.maxPrefixCacheBytes, this.#options.maxBytes - numReservedBytes);
  }
}
