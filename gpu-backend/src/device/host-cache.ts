import type { ModelConfig } from '../model/config.ts';
import type { ColumnRange, KvCache, SavedColumns } from './device.ts';

/** Bytes of one column of one sequence: a key and a value of every layer and head, float32. */
export function bytesPerColumn(config: ModelConfig): number {
  const numVectors = 2 * config.numLayers * config.numKeyValueHeads;
  return numVectors * config.headDim * Float32Array.BYTES_PER_ELEMENT;
}

/** Elements of one of a cache's tensors, [slots, keyValueHeads, capacity, headDim]. */
export function cacheTensorLength(config: ModelConfig, numSlots: number, capacity: number): number {
  return numSlots * config.numKeyValueHeads * capacity * config.headDim;
}

/**
 * A cache in memory that the CPU reaches: one tensor [slots, keyValueHeads, capacity, headDim] for each layer's keys
 * and one for its values. A slot is contiguous, so the first B slots are a tensor themselves.
 */
export class HostCache implements KvCache {
  readonly config: ModelConfig;
  readonly numSlots: number;
  readonly capacity: number;
  /** Layer 0 key, layer 0 value, layer 1 key, …; none once disposed of. */
  #tensors: readonly Float32Array<ArrayBuffer>[];

  constructor(
    config: ModelConfig,
    numSlots: number,
    capacity: number,
    allocate: (length: number) => Float32Array<ArrayBuffer>,
  ) {
    if (numSlots < 1 || capacity < 1)
      throw new RangeError(`cache of ${numSlots} slots of ${capacity} columns`);
    this.config = config;
    this.numSlots = numSlots;
    this.capacity = capacity;
    const length = cacheTensorLength(config, numSlots, capacity);
    this.#tensors = Array.from({ length: 2 * config.numLayers }, () => allocate(length));
  }

  get tensors(): readonly Float32Array<ArrayBuffer>[] {
    if (this.#tensors.length === 0) throw new Error('the cache was disposed of');
    return this.#tensors;
  }

  get numBytes(): number {
    return this.numSlots * this.capacity * bytesPerColumn(this.config);
  }

  copyColumns(slot: number, range: ColumnRange, target: KvCache, targetSlot: number): void {
    const to = hostCache(target, this.config);
    this.#check(slot, range);
    to.#check(targetSlot, range);
    this.tensors.forEach((tensor, index) => {
      const destination = to.tensors[index];
      this.#eachHead(slot, range, (start, end, head) => {
        destination?.set(tensor.subarray(start, end), to.#offset(targetSlot, head, range.start));
      });
    });
  }

  save(slot: number, range: ColumnRange): SavedColumns {
    this.#check(slot, range);
    const saved = new HostColumns(this.config, range.end - range.start);
    this.tensors.forEach((tensor, index) => {
      this.#eachHead(slot, range, (start, end, head) => {
        saved.data.set(tensor.subarray(start, end), saved.offset(index, head, 0));
      });
    });
    return saved;
  }

  restore(slot: number, column: number, saved: SavedColumns, range: ColumnRange): void {
    if (!(saved instanceof HostColumns)) throw new TypeError('the columns belong to another device');
    checkColumns(range, saved.numColumns);
    const target = { start: column, end: column + range.end - range.start };
    this.#check(slot, target);
    this.tensors.forEach((tensor, index) => {
      this.#eachHead(slot, target, (start, end, head) => {
        const from = saved.offset(index, head, range.start);
        tensor.set(saved.data.subarray(from, from + end - start), start);
      });
    });
  }

  dispose(): void {
    this.#tensors = [];
  }

  #eachHead(
    slot: number,
    range: ColumnRange,
    visit: (start: number, end: number, head: number) => void,
  ): void {
    for (let head = 0; head < this.config.numKeyValueHeads; head += 1) {
      visit(this.#offset(slot, head, range.start), this.#offset(slot, head, range.end), head);
    }
  }

  #offset(slot: number, head: number, column: number): number {
    const { numKeyValueHeads, headDim } = this.config;
    return ((slot * numKeyValueHeads + head) * this.capacity + column) * headDim;
  }

  #check(slot: number, range: ColumnRange): void {
    if (slot < 0 || slot >= this.numSlots) throw new RangeError(`slot ${slot} of ${this.numSlots}`);
    checkColumns(range, this.capacity);
  }
}

/** The cache as one of this device's, or a sentence that says why not. */
export function hostCache(cache: KvCache, config: ModelConfig): HostCache {
  if (!(cache instanceof HostCache)) throw new TypeError('the cache belongs to another device');
  if (cache.config !== config) throw new TypeError('the cache belongs to another model');
  return cache;
}

export function checkColumns({ start, end }: ColumnRange, numColumns: number): void {
  if (start < 0 || end < start || end > numColumns) {
    throw new RangeError(`columns ${start} to ${end} of ${numColumns}`);
  }
}

/** Columns on their own: [layers · 2, keyValueHeads, columns, headDim]. */
class HostColumns implements SavedColumns {
  readonly #config: ModelConfig;
  readonly numColumns: number;
  #data: Float32Array | undefined;

  constructor(config: ModelConfig, numColumns: number) {
    this.#config = config;
    this.numColumns = numColumns;
    this.#data = new Float32Array((numColumns * bytesPerColumn(config)) / Float32Array.BYTES_PER_ELEMENT);
  }

  get data(): Float32Array {
    if (this.#data === undefined) throw new Error('the saved columns were disposed of');
    return this.#data;
  }

  get numBytes(): number {
    return this.numColumns * bytesPerColumn(this.#config);
  }

  offset(tensor: number, head: number, column: number): number {
    const { numKeyValueHeads, headDim } = this.#config;
    return ((tensor * numKeyValueHeads + head) * this.numColumns + column) * headDim;
  }

  dispose(): void {
    this.#data = undefined;
  }
}
