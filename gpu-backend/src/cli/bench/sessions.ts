import type {
  ForwardBatch,
  ForwardOutput,
  KvCache,
  ModelSession,
  RowCandidates,
} from '../../device/device.ts';
import type { ModelConfig } from '../../model/config.ts';

/** A session that does something more with each run; it owns the one that it wraps. */
abstract class WrappedSession implements ModelSession {
  readonly config: ModelConfig;
  readonly numBytesPerColumn: number;
  readonly maxCandidates: number;
  protected readonly inner: ModelSession;

  constructor(inner: ModelSession) {
    this.config = inner.config;
    this.numBytesPerColumn = inner.numBytesPerColumn;
    this.maxCandidates = inner.maxCandidates;
    this.inner = inner;
  }

  createCache(numSlots: number, capacity: number): KvCache {
    return this.inner.createCache(numSlots, capacity);
  }

  abstract run(cache: KvCache, batch: ForwardBatch): Promise<ForwardOutput>;

  dispose(): Promise<void> {
    return this.inner.dispose();
  }
}

/** Counts what the device does; its inputs' copying is the device's time. */
export class TimedSession extends WrappedSession {
  milliseconds = 0;
  numRows = 0;
  /** Columns of the cache that was run last. */
  capacity = 0;

  async run(cache: KvCache, batch: ForwardBatch): Promise<ForwardOutput> {
    const startedAt = performance.now();
    const output = await this.inner.run(cache, batch);
    this.milliseconds += performance.now() - startedAt;
    this.numRows += batch.numRows;
    this.capacity = cache.capacity;
    return output;
  }
}

/**
 * Plain decoding as others run it: without the scratch row that keeps the sums of one row equal to those of many, and
 * with one row of each sequence in attention. For a device that was opened with `allowSingleRow`.
 */
export class SingleRowSession extends WrappedSession {
  #mask = new Uint8Array(0);

  run(cache: KvCache, batch: ForwardBatch): Promise<ForwardOutput> {
    return this.inner.run(cache, this.#withoutPadding(withoutScratchRow(batch), cache.capacity));
  }

  #withoutPadding(batch: ForwardBatch, capacity: number): ForwardBatch {
    const { numSlots, numPaddedRows: numBefore, rowStarts } = batch;
    let numPaddedRows = 1;
    for (let slot = 0; slot < numSlots; slot++)
      numPaddedRows = Math.max(numPaddedRows, (rowStarts[slot + 1] ?? 0) - (rowStarts[slot] ?? 0));
    if (numPaddedRows === numBefore) return batch;
    const numPlaces = numPaddedRows * capacity; // of a slot
    if (this.#mask.length < numSlots * numPlaces) this.#mask = new Uint8Array(numSlots * numPlaces);
    for (let slot = 0; slot < numSlots; slot++) {
      const first = slot * numBefore * capacity;
      this.#mask.set(batch.mask.subarray(first, first + numPlaces), slot * numPlaces);
    }
    return { ...batch, numPaddedRows, mask: this.#mask };
  }
}

/** A scratch row is a second copy of the only row, of which only the first is read. */
function withoutScratchRow(batch: ForwardBatch): ForwardBatch {
  const { numRows, numLogitRows, logitRows, positions, tokenIds } = batch;
  const isCopy = positions[0] === positions[1] && tokenIds[0] === tokenIds[1];
  const readsFirst = numLogitRows === 2 && logitRows[0] === 0 && logitRows[1] === 0;
  if (numRows !== 2 || !isCopy || !readsFirst) return batch;
  const rowStarts = batch.rowStarts.slice(0, batch.numSlots + 1).map((start) => Math.min(start, 1));
  return { ...batch, numRows: 1, numLogitRows: 1, rowStarts };
}

export const NOTHING_LABEL = 'nothing accepted (drafts shifted by one place of the vocabulary)';

/**
 * Text on which drafts are worth nothing: what a mask says is moved by one place of the vocabulary, as it is read.
 * Causal rows are as they were, and so is the text.
 */
export class NothingAcceptedSession extends WrappedSession {
  async run(cache: KvCache, batch: ForwardBatch): Promise<ForwardOutput> {
    const output = await this.inner.run(cache, batch);
    const maskTokenId = this.config.tidar?.maskTokenId ?? -1;
    const isMask = Array.from(
      { length: batch.numLogitRows },
      (_, index) => batch.tokenIds[batch.logitRows[index] ?? 0] === maskTokenId,
    );
    return new ShiftedOutput(output, isMask, this.config.vocabSize);
  }
}

class ShiftedOutput implements ForwardOutput {
  readonly #inner: ForwardOutput;
  readonly #vocabSize: number;
  /** By index: whether the row is still to be moved, which is done once, in place. */
  readonly #isDue: boolean[];
  readonly #areCandidatesDue: boolean[];

  constructor(inner: ForwardOutput, isMask: readonly boolean[], vocabSize: number) {
    this.#inner = inner;
    this.#vocabSize = vocabSize;
    this.#isDue = [...isMask];
    this.#areCandidatesDue = [...isMask];
  }

  logits(index: number): Float32Array {
    const logits = this.#inner.logits(index);
    if (this.#isDue[index] !== true) return logits;
    this.#isDue[index] = false;
    const last = logits.at(-1) ?? 0;
    logits.copyWithin(1, 0, logits.length - 1);
    logits[0] = last;
    return logits;
  }

  candidates(index: number): RowCandidates | undefined {
    const candidates = this.#inner.candidates(index);
    if (candidates === undefined || this.#areCandidatesDue[index] !== true) return candidates;
    this.#areCandidatesDue[index] = false;
    const { tokenIds } = candidates;
    for (let at = 0; at < tokenIds.length; at++) tokenIds[at] = ((tokenIds[at] ?? 0) + 1) % this.#vocabSize;
    return candidates;
  }
}
