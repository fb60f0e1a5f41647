import type { ForwardBatch, KvCache } from './device.ts';
import { HostCache } from './host-cache.ts';

/**
 * A cache's own memory, [slots, keyValueHeads, capacity, headDim] each: layer 0 key, layer 0 value, layer 1 key, …
 * Tests write to it what no run would have left there.
 */
export function cacheTensors(cache: KvCache): readonly Float32Array[] {
  if (!(cache instanceof HostCache)) throw new TypeError('this device keeps its cache elsewhere');
  return cache.tensors;
}

/** One sequence's rows in a test's batch. */
export interface SlotRows {
  readonly tokenIds: readonly number[];
  readonly positions: readonly number[];
  readonly writeIndex: number;
  /** [rows][columns], 1 where a row sees a column; columns after these are not seen. */
  readonly mask: readonly (readonly number[])[];
}

/** Rows of a plain causal pass: tokens at columns `start` …, each seeing all columns up to its own. */
export function causalRows(tokenIds: readonly number[], start = 0): SlotRows {
  const positions = tokenIds.map((_, row) => start + row);
  return {
    tokenIds,
    positions,
    writeIndex: start,
    mask: positions.map((position) => new Array<number>(position + 1).fill(1)),
  };
}

/** A slot without rows, whose columns from `writeIndex` on may be overwritten. */
export const idleSlot = (writeIndex: number): SlotRows => ({
  tokenIds: [],
  positions: [],
  writeIndex,
  mask: [],
});

/** The slots' rows as one batch; logits of all rows are wanted unless `changes` say otherwise. */
export function batchOf(
  capacity: number,
  slots: readonly SlotRows[],
  changes: Partial<ForwardBatch> = {},
): ForwardBatch {
  const numSlotRows = slots.map((slot) => slot.tokenIds.length);
  const numPaddedRows = changes.numPaddedRows ?? Math.max(2, ...numSlotRows);
  let numPacked = 0;
  const rowStarts = Int32Array.from([0, ...numSlotRows], (count) => (numPacked += count));
  const numRows = rowStarts.at(-1) ?? 0;
  return {
    numSlots: slots.length,
    numRows,
    numPaddedRows,
    tokenIds: Int32Array.from(slots.flatMap((slot) => slot.tokenIds)),
    positions: Int32Array.from(slots.flatMap((slot) => slot.positions)),
    rowStarts,
    writeIndexes: Int32Array.from(slots, (slot) => slot.writeIndex),
    mask: paddedMask(capacity, slots, numPaddedRows),
    numLogitRows: numRows,
    logitRows: Int32Array.from({ length: numRows }, (_, row) => row),
    numCandidates: 0,
    ...changes,
  };
}

function paddedMask(capacity: number, slots: readonly SlotRows[], numPaddedRows: number): Uint8Array {
  const mask = new Uint8Array(slots.length * numPaddedRows * capacity);
  slots.forEach((slot, index) => {
    for (let row = 0; row < numPaddedRows; row += 1) {
      const at = (index * numPaddedRows + row) * capacity;
      const sees = slot.mask[row];
      if (sees === undefined) mask[at + slot.writeIndex + row] = 1;
      else mask.set(sees, at);
    }
  });
  return mask;
}

/** Tokens of a fixture's vocabulary, its mask token and the id before it left out. */
export const tokensOf = (count: number, seed = 0): number[] =>
  Array.from({ length: count }, (_, row) => (7 * row + 11 * seed + 3) % 46);

/** Between numbers at the same places. */
export const largestDifference = (left: number[][], right: number[][]): number =>
  Math.max(
    ...left.flatMap((row, index) => row.map((value, id) => Math.abs(value - (right[index]?.[id] ?? NaN)))),
  );
