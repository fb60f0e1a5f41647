import type { ModelConfig } from '../../model/config.ts';
import { BYTES_PER_FLOAT } from '../../model/precision.ts';
import type { Precision } from '../../model/precision.ts';
import type { Pointer } from '../c-api/library.ts';
import type { ColumnRange, KvCache, SavedColumns } from '../device.ts';
import type { GpuMemory } from './runtime.ts';

/** What caches of one session have in common. */
export interface CacheKind {
  readonly config: ModelConfig;
  readonly precision: Precision;
  readonly memory: GpuMemory;
}

export const elementBytes = ({ config, precision }: CacheKind): number =>
  config.headDim * BYTES_PER_FLOAT[precision];

/** Bytes of one column of one sequence: a key and a value of every layer and head. */
export const columnBytes = (kind: CacheKind): number =>
  2 * kind.config.numLayers * kind.config.numKeyValueHeads * elementBytes(kind);

/**
 * Keys and values in a GPU's memory, one tensor [slots, keyValueHeads, capacity, headDim] for each layer's keys and one
 * for its values. They never leave it.
 */
export class CudaCache implements KvCache {
  readonly kind: CacheKind;
  readonly numSlots: number;
  readonly capacity: number;
  /** Told when the memory is about to be freed. */
  onDispose: () => void = () => undefined;
  /** Layer 0 key, layer 0 value, layer 1 key, …; none once disposed of. */
  #tensors: readonly Pointer[];

  constructor(kind: CacheKind, numSlots: number, capacity: number) {
    if (numSlots < 1 || capacity < 1)
      throw new RangeError(`cache of ${numSlots} slots of ${capacity} columns`);
    this.kind = kind;
    this.numSlots = numSlots;
    this.capacity = capacity;
    const { memory, config } = kind;
    const tensors: Pointer[] = [];
    this.#tensors = tensors;
    try {
      for (let index = 0; index < 2 * config.numLayers; index += 1)
        tensors.push(memory.allocate(this.#tensorBytes));
      for (const tensor of tensors) memory.clear(tensor, this.#tensorBytes);
      memory.settle();
    } catch (error) {
      this.dispose();
      throw error;
    }
  }

  get tensors(): readonly Pointer[] {
    if (this.#tensors.length === 0) throw new Error('the cache was disposed of');
    return this.#tensors;
  }

  get numBytes(): number {
    return this.numSlots * this.capacity * columnBytes(this.kind);
  }

  /** Where in each tensor a slot begins, in bytes. */
  slotOffset(slot: number): number {
    return slot * this.kind.config.numKeyValueHeads * this.#headBytes;
  }

  copyColumns(slot: number, range: ColumnRange, target: KvCache, targetSlot: number): void {
    const to = cudaCache(target, this.kind);
    this.#check(slot, range);
    to.#check(targetSlot, range);
    this.#copy(this.tensors.length, range.end - range.start, (index) => [
      to.#strip(index, targetSlot, range.start),
      this.#strip(index, slot, range.start),
    ]);
  }

  save(slot: number, range: ColumnRange): SavedColumns {
    this.#check(slot, range);
    const saved = new CudaColumns(this.kind, range.end - range.start);
    this.#copy(this.tensors.length, saved.numColumns, (index) => [
      saved.strip(index, 0),
      this.#strip(index, slot, range.start),
    ]);
    return saved;
  }

  restore(slot: number, column: number, saved: SavedColumns, range: ColumnRange): void {
    if (!(saved instanceof CudaColumns)) throw new TypeError('the columns belong to another device');
    checkColumns(range, saved.numColumns);
    const target = { start: column, end: column + range.end - range.start };
    this.#check(slot, target);
    this.#copy(this.tensors.length, range.end - range.start, (index) => [
      this.#strip(index, slot, column),
      saved.strip(index, range.start),
    ]);
  }

  dispose(): void {
    if (this.#tensors.length === 0) return;
    this.onDispose();
    for (const tensor of this.#tensors) this.kind.memory.free(tensor);
    this.#tensors = [];
  }

  /** A row of each copy is the columns of one head. */
  #copy(numTensors: number, numColumns: number, strips: (index: number) => [to: Strip, from: Strip]): void {
    if (numColumns === 0) return;
    const { memory, config } = this.kind;
    const rowBytes = numColumns * elementBytes(this.kind);
    for (let index = 0; index < numTensors; index += 1) {
      const [to, from] = strips(index);
      memory.copyRows(to, from, rowBytes, config.numKeyValueHeads);
    }
    memory.settle();
  }

  #strip(index: number, slot: number, column: number): Strip {
    const offset = this.slotOffset(slot) + column * elementBytes(this.kind);
    return { address: (this.tensors[index] ?? 0n) + BigInt(offset), pitch: this.#headBytes };
  }

  get #headBytes(): number {
    return this.capacity * elementBytes(this.kind);
  }

  get #tensorBytes(): number {
    return this.slotOffset(this.numSlots);
  }

  #check(slot: number, range: ColumnRange): void {
    if (slot < 0 || slot >= this.numSlots) throw new RangeError(`slot ${slot} of ${this.numSlots}`);
    checkColumns(range, this.capacity);
  }
}

type Strip = Parameters<GpuMemory['copyRows']>[0];

/** The cache as one of this session's kind, or a sentence that says why not. */
function cudaCache(cache: KvCache, kind: CacheKind): CudaCache {
  if (!(cache instanceof CudaCache)) throw new TypeError('the cache belongs to another device');
  if (cache.kind !== kind) throw new TypeError('the cache belongs to another session');
  return cache;
}

function checkColumns({ start, end }: ColumnRange, numColumns: number): void {
  if (start < 0 || end < start || end > numColumns) {
    throw new RangeError(`columns ${start} to ${end} of ${numColumns}`);
  }
}

/** Columns on their own, on the GPU too: [layers · 2, keyValueHeads, columns, headDim]. */
class CudaColumns implements SavedColumns {
  readonly numColumns: number;
  readonly #kind: CacheKind;
  #memory: Pointer | undefined;

  constructor(kind: CacheKind, numColumns: number) {
    this.#kind = kind;
    this.numColumns = numColumns;
    this.#memory = kind.memory.allocate(Math.max(1, this.numBytes));
  }

  get numBytes(): number {
    return this.numColumns * columnBytes(this.#kind);
  }

  strip(index: number, column: number): Strip {
    if (this.#memory === undefined) throw new Error('the saved columns were disposed of');
    const pitch = this.numColumns * elementBytes(this.#kind);
    const offset = index * this.#kind.config.numKeyValueHeads * pitch + column * elementBytes(this.#kind);
    return { address: this.#memory + BigInt(offset), pitch };
  }

  dispose(): void {
    if (this.#memory !== undefined) this.#kind.memory.free(this.#memory);
    this.#memory = undefined;
  }
}
