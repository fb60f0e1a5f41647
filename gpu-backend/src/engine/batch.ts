import type { ForwardBatch } from '../device/device.ts';
import { markVisible } from './layout.ts';
import type { Layout } from './layout.ts';

/** The rows that a slot takes part with; an idle slot has none. */
export interface SlotRows {
  /** Columns [0, numCommitted) of the slot must survive the run. */
  readonly numCommitted: number;
  readonly layout?: Layout | undefined;
}

/** A run with a single row uses another kernel, whose sums differ in the last bits: two rows are the least. */
export const MIN_ROWS = 2;

/** Rows that a slot takes in attention, where each slot has as many as the one with the most. */
function numPaddedRows(layouts: Iterable<Layout>): number {
  let most = MIN_ROWS;
  for (const { numRows } of layouts) most = Math.max(most, numRows);
  return most;
}

/**
 * Packs the layouts of many slots into one forward pass. Buffers are kept and used again: a packed batch is valid
 * until the next call.
 */
export class BatchPacker {
  #rows = rowBuffers(64);
  #mask = new Uint8Array(0);
  #rowStarts = new Int32Array(2);
  #writeIndexes = new Int32Array(1);

  /** `slots[b]` is what cache slot firstSlot + b does. Throws RangeError where a slot lacks columns for the padded rows. */
  pack(slots: readonly SlotRows[], capacity: number, numCandidates: number, firstSlot = 0): ForwardBatch {
    const layouts = slots.flatMap(({ layout }) => (layout === undefined ? [] : [layout]));
    const numPadded = numPaddedRows(layouts);
    const numScratch = Math.max(0, MIN_ROWS - sum(layouts, ({ numRows }) => numRows));
    this.#reserve(slots.length, numPadded, capacity, layouts, numScratch);
    const filled = this.#fill(slots, numPadded, capacity, numScratch);
    return {
      firstSlot,
      numSlots: slots.length,
      numPaddedRows: numPadded,
      ...filled,
      tokenIds: this.#rows.tokenIds,
      positions: this.#rows.positions,
      rowStarts: this.#rowStarts,
      writeIndexes: this.#writeIndexes,
      mask: this.#mask,
      logitRows: this.#rows.logitRows,
      numCandidates,
    };
  }

  #reserve(
    numSlots: number,
    numPadded: number,
    capacity: number,
    layouts: readonly Layout[],
    numScratch: number,
  ): void {
    const numRows = sum(layouts, (layout) => layout.numRows) + numScratch + MIN_ROWS;
    if (this.#rows.tokenIds.length < numRows) this.#rows = rowBuffers(2 * numRows);
    if (this.#writeIndexes.length < numSlots) {
      this.#writeIndexes = new Int32Array(2 * numSlots);
      this.#rowStarts = new Int32Array(2 * numSlots + 1);
    }
    const numPlaces = numSlots * numPadded * capacity;
    if (this.#mask.length < numPlaces) this.#mask = new Uint8Array(numPlaces);
    this.#mask.fill(0, 0, numPlaces);
  }

  #fill(
    slots: readonly SlotRows[],
    numPadded: number,
    capacity: number,
    numScratch: number,
  ): { numRows: number; numLogitRows: number } {
    const { tokenIds, positions, logitRows } = this.#rows;
    let numRows = 0;
    let numLogitRows = 0;
    slots.forEach(({ numCommitted, layout }, slot) => {
      if (numCommitted + numPadded > capacity) {
        throw new RangeError(`slot ${slot}: ${numCommitted} + ${numPadded} columns of ${capacity}`);
      }
      this.#writeIndexes[slot] = numCommitted;
      this.#rowStarts[slot] = numRows;
      const firstPlace = slot * numPadded * capacity;
      const numOwnRows = layout?.numRows ?? 0;
      if (layout !== undefined) {
        tokenIds.set(layout.tokenIds, numRows);
        positions.set(layout.positions, numRows);
        for (const row of layout.logitRows) logitRows[numLogitRows++] = numRows + row;
        markVisible(this.#mask, firstPlace, layout, capacity);
        numRows += layout.numRows;
      }
      // A padding row sees itself alone, and nothing sees it.
      for (let row = numOwnRows; row < numPadded; row++) {
        this.#mask[firstPlace + row * capacity + numCommitted + row] = 1;
      }
    });
    // A scratch row is a padding row of the last slot that takes part in the products too.
    for (let row = 0; row < numScratch; row++, numRows++) {
      tokenIds[numRows] = tokenIds[0] ?? 0;
      positions[numRows] = positions[0] ?? 0;
    }
    this.#rowStarts[slots.length] = numRows;
    while (numLogitRows < MIN_ROWS) logitRows[numLogitRows++] = 0;
    return { numRows, numLogitRows };
  }
}

function rowBuffers(size: number) {
  return { tokenIds: new Int32Array(size), positions: new Int32Array(size), logitRows: new Int32Array(size) };
}

function sum<T>(values: readonly T[], of: (value: T) => number): number {
  return values.reduce((total, value) => total + of(value), 0);
}
