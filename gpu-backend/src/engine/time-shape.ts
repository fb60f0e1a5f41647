import type { ForwardBatch, KvCache, ModelSession } from '../device/device.ts';
import { MIN_ROWS } from './batch.ts';
import type { TimeShape } from './planner/measure-latency.ts';

/**
 * Runs forward passes of any shape on a device and tells their milliseconds: rows shared out evenly, every row's logits
 * read, caches of as many columns as the context is long (or as the rows need). Dispose of it when all is measured.
 */
export class ShapeTimer {
  readonly #session: ModelSession;
  #cache: KvCache | undefined;

  constructor(session: ModelSession) {
    this.#session = session;
  }

  readonly time: TimeShape = async (numRows, numSequences, numContextTokens) => {
    const batch = evenBatch(numRows, numSequences, numContextTokens);
    const cache = this.#cacheFor(numSequences, batch.mask.length / (batch.numSlots * batch.numPaddedRows));
    const startedAt = performance.now();
    await this.#session.run(cache, batch);
    return performance.now() - startedAt;
  };

  dispose(): void {
    this.#cache?.dispose();
    this.#cache = undefined;
  }

  #cacheFor(numSlots: number, capacity: number): KvCache {
    const cache = this.#cache;
    if (cache !== undefined && cache.numSlots >= numSlots && cache.capacity === capacity) return cache;
    this.dispose();
    return (this.#cache = this.#session.createCache(numSlots, capacity));
  }
}

function evenBatch(numRows: number, numSequences: number, numContextTokens: number): ForwardBatch {
  const numPaddedRows = Math.max(MIN_ROWS, Math.ceil(numRows / numSequences));
  const capacity = Math.max(numContextTokens, 2 * numPaddedRows);
  const start = capacity - numPaddedRows;
  const rowStarts = Int32Array.from({ length: numSequences + 1 }, (_, slot) =>
    Math.round((slot * numRows) / numSequences),
  );
  return {
    numSlots: numSequences,
    numRows,
    numPaddedRows,
    tokenIds: new Int32Array(numRows),
    positions: new Int32Array(numRows),
    rowStarts,
    writeIndexes: new Int32Array(numSequences).fill(start),
    mask: new Uint8Array(numSequences * numPaddedRows * capacity).fill(1),
    numLogitRows: numRows,
    logitRows: Int32Array.from({ length: numRows }, (_, row) => row),
    numCandidates: 0,
  };
}
