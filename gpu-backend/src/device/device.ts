import type { ModelConfig } from '../model/config.ts';

/** A model loaded on a device. Runs are made one at a time. */
export interface ModelSession {
  readonly config: ModelConfig;
  /** A zeroed cache with room for `capacity` columns. The caller owns it and disposes of it. */
  createCache(capacity: number): KvCache;
  /**
   * One forward pass. Writes the rows' keys and values to cache columns
   * [writeIndex, writeIndex + rows) and returns logits [logitRows, vocab], valid until the next run.
   * Throws RangeError for rows that no model could run.
   */
  run(cache: KvCache, rows: ForwardRows): Promise<Float32Array>;
  dispose(): Promise<void>;
}

/** The rows of one forward pass of one sequence; never fewer than 2 rows and 2 logit rows (see docs/exactness.md). */
export interface ForwardRows {
  /** [rows] */
  readonly tokenIds: Int32Array;
  /** [rows] */
  readonly positions: Int32Array;
  /** The first cache column that the rows are written to. */
  readonly writeIndex: number;
  /** [rows, capacity], 1 where a row sees a column. */
  readonly mask: Uint8Array;
  /** Rows whose logits are wanted, [logitRows]. */
  readonly logitRows: Int32Array;
}

/** Keys and values of one sequence. Columns [0, committed) are final; what follows is scratch. */
export interface KvCache {
  readonly capacity: number;
  /** Keeps all columns, adds zeroed ones. */
  grow(capacity: number): void;
  dispose(): void;
}
