import * as ort from 'onnxruntime-node';
import type { ModelConfig } from '../../model/config.ts';
import { cacheName, newCacheName } from '../../model/graph/packed-attention.ts';
import type { ColumnRange, KvCache, SavedColumns } from '../device.ts';
import { bytesPerColumn, checkColumns } from '../host-cache.ts';
import type { ColumnGraphs, GpuTensor } from './columns.ts';
import type { WorkQueue } from './queue.ts';

/** What caches of one session share. */
export interface CacheHome {
  readonly config: ModelConfig;
  readonly graphs: ColumnGraphs;
  readonly queue: WorkQueue;
}

type Tensors = Record<string, ort.Tensor>;

/**
 * A cache in GPU buffers: for each layer's keys and one for its values a table [slots · keyValueHeads · capacity,
 * headDim]. Copies are queued behind the runs before them.
 */
export class WebGpuCache implements KvCache {
  readonly home: CacheHome;
  readonly numSlots: number;
  readonly capacity: number;
  /** Layer 0 key, layer 0 value, layer 1 key, …; empty until the queue has made them. */
  readonly tables: GpuTensor[] = [];
  readonly #views = new Map<number, { feeds: Tensors; fetches: Tensors }>();
  #isDisposed = false;

  constructor(home: CacheHome, numSlots: number, capacity: number) {
    if (numSlots < 1 || capacity < 1)
      throw new RangeError(`cache of ${numSlots} slots of ${capacity} columns`);
    this.home = home;
    this.numSlots = numSlots;
    this.capacity = capacity;
    const { config, graphs, queue } = home;
    queue.push(async () => {
      const numColumns = numSlots * config.numKeyValueHeads * capacity;
      for (let table = 0; table < 2 * config.numLayers; table += 1)
        this.tables.push(await graphs.zeros(numColumns, config.headDim));
    });
  }

  get numBytes(): number {
    return this.numSlots * this.capacity * bytesPerColumn(this.home.config);
  }

  /** What a run over the first slots reads and writes: a buffer's beginning is a tensor itself. */
  slots(numSlots: number): { feeds: Tensors; fetches: Tensors } {
    this.checkAlive();
    const known = this.#views.get(numSlots);
    if (known !== undefined) return known;
    const { numKeyValueHeads, headDim } = this.home.config;
    const dims = [numSlots * numKeyValueHeads * this.capacity, headDim];
    const view: { feeds: Tensors; fetches: Tensors } = { feeds: {}, fetches: {} };
    this.tables.forEach((table, index) => {
      const kind = index % 2 === 0 ? 'key' : 'value';
      const layer = Math.floor(index / 2);
      const tensor = ort.Tensor.fromGpuBuffer(table.gpuBuffer, { dataType: 'float32', dims });
      view.feeds[cacheName(kind, layer)] = tensor;
      view.fetches[newCacheName(kind, layer)] = tensor;
    });
    this.#views.set(numSlots, view);
    return view;
  }

  copyColumns(slot: number, range: ColumnRange, target: KvCache, targetSlot: number): void {
    const to = ofHome(target, this.home);
    const from = this.#places(slot, range);
    const places = to.#places(targetSlot, range);
    const { graphs, queue } = this.home;
    queue.push(async () => {
      for (const [index, table] of this.tables.entries()) {
        const columns = await graphs.gather(table, from);
        await graphs.scatter(to.#table(index), places, columns);
        columns.dispose();
      }
    });
  }

  save(slot: number, range: ColumnRange): SavedColumns {
    const places = this.#places(slot, range);
    const { config, graphs, queue } = this.home;
    const saved = new WebGpuColumns(this.home, range.end - range.start);
    if (saved.numColumns === 0 || config.numLayers === 0) return saved;
    queue.push(async () => {
      for (const table of this.tables) saved.tables.push(await graphs.gather(table, places));
    });
    return saved;
  }

  restore(slot: number, column: number, saved: SavedColumns, range: ColumnRange): void {
    if (!(saved instanceof WebGpuColumns) || saved.home !== this.home)
      throw new TypeError('the columns belong to another device');
    const from = saved.places(range);
    const places = this.#places(slot, { start: column, end: column + range.end - range.start });
    if (places.length === 0) return;
    const { graphs, queue } = this.home;
    queue.push(async () => {
      for (const [index, table] of saved.tables.entries()) {
        const columns = await graphs.gather(table, from);
        await graphs.scatter(this.#table(index), places, columns);
        columns.dispose();
      }
    });
  }

  dispose(): void {
    if (this.#isDisposed) return;
    this.#isDisposed = true;
    this.home.queue.push(async () => {
      this.#views.clear();
      for (const table of this.tables.splice(0)) table.dispose();
    });
  }

  checkAlive(): void {
    if (this.#isDisposed) throw new Error('the cache was disposed of');
  }

  #table(index: number): GpuTensor {
    const table = this.tables[index];
    if (table === undefined) throw new Error('the cache was disposed of');
    return table;
  }

  /** Of columns [start, end) of a slot, head by head. */
  #places(slot: number, range: ColumnRange): Int32Array {
    this.checkAlive();
    if (slot < 0 || slot >= this.numSlots) throw new RangeError(`slot ${slot} of ${this.numSlots}`);
    checkColumns(range, this.capacity);
    const { numKeyValueHeads } = this.home.config;
    return placesOf(range, numKeyValueHeads, (head) => (slot * numKeyValueHeads + head) * this.capacity);
  }
}

function placesOf(
  { start, end }: ColumnRange,
  numHeads: number,
  startOf: (head: number) => number,
): Int32Array {
  const length = end - start;
  return Int32Array.from({ length: numHeads * length }, (_, at) => {
    return startOf(Math.floor(at / length)) + start + (at % length);
  });
}

function ofHome(cache: KvCache, home: CacheHome): WebGpuCache {
  if (!(cache instanceof WebGpuCache)) throw new TypeError('the cache belongs to another device');
  if (cache.home !== home) throw new TypeError('the cache belongs to another session');
  return cache;
}

/** Columns on their own: tables [keyValueHeads · columns, headDim]. */
class WebGpuColumns implements SavedColumns {
  readonly home: CacheHome;
  readonly numColumns: number;
  readonly tables: GpuTensor[] = [];
  #isDisposed = false;

  constructor(home: CacheHome, numColumns: number) {
    this.home = home;
    this.numColumns = numColumns;
  }

  get numBytes(): number {
    return this.numColumns * bytesPerColumn(this.home.config);
  }

  places(range: ColumnRange): Int32Array {
    if (this.#isDisposed) throw new Error('the saved columns were disposed of');
    checkColumns(range, this.numColumns);
    return placesOf(range, this.home.config.numKeyValueHeads, (head) => head * this.numColumns);
  }

  dispose(): void {
    if (this.#isDisposed) return;
    this.#isDisposed = true;
    this.home.queue.push(async () => {
      for (const table of this.tables.splice(0)) table.dispose();
    });
  }
}
