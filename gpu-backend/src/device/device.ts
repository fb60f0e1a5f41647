import type { ModelConfig } from '../model/config.ts';
import type { Precision } from '../model/precision.ts';
import type { GpuDevice } from './names.ts';

/** A GPU that runs a session. */
export interface GpuInfo {
  readonly device: GpuDevice;
  /** "NVIDIA L4, compute 8.9", say: with the precision and onnxruntime's version it decides the numbers. */
  readonly hardware: string;
  readonly precision: Precision;
  /** What caches may take where nothing else is said; absent: as for the CPU. */
  readonly cacheBytes?: number | undefined;
}

/** A model loaded on a device. Runs are made one at a time. */
export interface ModelSession {
  readonly config: ModelConfig;
  /** Absent: the CPU. */
  readonly gpu?: GpuInfo | undefined;
  /** Bytes that one cache column of one sequence takes, all layers. */
  readonly numBytesPerColumn: number;
  /** The most candidates that a row's output carries; 0: the vocabulary is small and rows are read whole. */
  readonly maxCandidates: number;
  /** A zeroed cache. The caller owns it and disposes of it. */
  createCache(numSlots: number, capacity: number): KvCache;
  /**
   * One forward pass. Slot b's rows go to its cache columns [w, w + numPaddedRows), w = writeIndexes[b].
   * Throws RangeError for rows that no model could run.
   */
  run(cache: KvCache, batch: ForwardBatch): Promise<ForwardOutput>;
  dispose(): Promise<void>;
}

/**
 * Rows of one forward pass of many sequences, packed in slot order. Arrays may be longer than said (buffers are
 * reused): what follows doesn't count. No product has fewer than 2 rows (see docs/exactness.md).
 */
export interface ForwardBatch {
  /** F, absent: 0. */
  readonly firstSlot?: number;
  /** B: cache slots [F, F + B) take part; a slot without rows is idle. Slot b below is cache slot F + b. */
  readonly numSlots: number;
  /** N ≥ 2: packed rows of all slots. */
  readonly numRows: number;
  /** Q ≥ 2: rows that each slot has in attention, at least the most of any slot. */
  readonly numPaddedRows: number;
  /** [N] */
  readonly tokenIds: Int32Array;
  /** [N] */
  readonly positions: Int32Array;
  /** [B + 1]: slot b has packed rows [rowStarts[b], rowStarts[b + 1]). */
  readonly rowStarts: Int32Array;
  /** [B]: the first column that a slot's rows are written to; all Q columns from there are, of idle slots too. */
  readonly writeIndexes: Int32Array;
  /** [B, Q, capacity], 1 where a row sees a column; padding rows see themselves. */
  readonly mask: Uint8Array;
  /** L ≥ 2 */
  readonly numLogitRows: number;
  /** [L]: packed rows whose logits are wanted. */
  readonly logitRows: Int32Array;
  /** At most `maxCandidates`: candidates wanted of each row. */
  readonly numCandidates: number;
}

/** What the last run gave; everything read from it is valid until the next run. */
export interface ForwardOutput {
  /** Logits [vocab] of `logitRows[index]`. */
  logits(index: number): Float32Array;
  /** The highest logits of `logitRows[index]`; undefined where `maxCandidates` is 0. */
  candidates(index: number): RowCandidates | undefined;
}

/** In falling order, of equal scores the lower id first. */
export interface RowCandidates {
  /** [numCandidates] */
  readonly scores: Float32Array;
  /** [numCandidates] */
  readonly tokenIds: Int32Array;
  /** Over the whole row. */
  readonly logSumExp: number;
}

/** Half-open: [start, end). */
export interface ColumnRange {
  readonly start: number;
  readonly end: number;
}

/** Keys and values of `numSlots` sequences. A slot's columns [0, committed) are final; what follows is scratch. */
export interface KvCache {
  readonly numSlots: number;
  readonly capacity: number;
  readonly numBytes: number;
  /** Copies columns of one slot to the same columns of a slot of `target`, which may be this cache. */
  copyColumns(slot: number, range: ColumnRange, target: KvCache, targetSlot: number): void;
  /** A copy of columns that belongs to no slot; the caller owns it. */
  save(slot: number, range: ColumnRange): SavedColumns;
  /** Writes `saved` columns [range), counted from the first saved one, to the slot's columns from `column` on. */
  restore(slot: number, column: number, saved: SavedColumns, range: ColumnRange): void;
  dispose(): void;
}

export interface SavedColumns {
  readonly numColumns: number;
  readonly numBytes: number;
  dispose(): void;
}
