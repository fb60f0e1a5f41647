import type { ModelConfig } from '../model/config.ts';
import type { ForwardBatch, KvCache } from './device.ts';

export interface BatchLimits {
  readonly config: ModelConfig;
  readonly maxCandidates: number;
  /** 2, or 1 for a benchmark of the kernels for one row. */
  readonly minRows: number;
}

/** What a wrong caller would otherwise learn from wrong text: these are programmer errors. */
export function checkBatch(batch: ForwardBatch, cache: KvCache, limits: BatchLimits): void {
  checkCounts(batch, cache, limits);
  checkLengths(batch, cache);
  checkRowStarts(batch);
  checkWriteIndexes(batch, cache.capacity);
  const { config } = limits;
  checkRange('token id', batch.tokenIds, batch.numRows, config.vocabSize, 'the vocabulary');
  checkRange('position', batch.positions, batch.numRows, config.maxPositions, "the model's positions");
  checkRange('logit row', batch.logitRows, batch.numLogitRows, batch.numRows, 'the rows');
}

function refuse(what: string): never {
  throw new RangeError(`forward pass refused: ${what}`);
}

function checkCounts(batch: ForwardBatch, cache: KvCache, limits: BatchLimits): void {
  const { minRows, maxCandidates } = limits;
  const { firstSlot = 0, numSlots, numRows, numPaddedRows, numLogitRows, numCandidates } = batch;
  if (firstSlot < 0 || numSlots < 1 || firstSlot + numSlots > cache.numSlots)
    refuse(`slots ${firstSlot} to ${firstSlot + numSlots} of ${cache.numSlots}`);
  const atLeast = `one row runs another kernel, give at least ${minRows}`;
  if (numRows < minRows) refuse(`${numRows} rows; ${atLeast}`);
  if (numPaddedRows < minRows) refuse(`${numPaddedRows} padded rows; ${atLeast}`);
  if (numLogitRows < minRows) refuse(`${numLogitRows} logit rows; ${atLeast}`);
  if (numCandidates < 0 || numCandidates > maxCandidates) {
    refuse(`${numCandidates} candidates of at most ${maxCandidates}`);
  }
}

function checkLengths(batch: ForwardBatch, cache: KvCache): void {
  const { numSlots, numRows, numPaddedRows, numLogitRows } = batch;
  const needed = [
    ['token ids', batch.tokenIds, numRows],
    ['positions', batch.positions, numRows],
    ['row starts', batch.rowStarts, numSlots + 1],
    ['write indexes', batch.writeIndexes, numSlots],
    ['logit rows', batch.logitRows, numLogitRows],
    ['mask entries', batch.mask, numSlots * numPaddedRows * cache.capacity],
  ] as const;
  for (const [name, array, length] of needed) {
    if (array.length < length) refuse(`${array.length} ${name}, expected ${length}`);
  }
}

function checkRowStarts({ rowStarts, numSlots, numRows, numPaddedRows }: ForwardBatch): void {
  if (rowStarts[0] !== 0) refuse(`row starts begin at ${rowStarts[0]}, expected 0`);
  if (rowStarts[numSlots] !== numRows)
    refuse(`row starts end at ${rowStarts[numSlots]}, expected ${numRows}`);
  for (let slot = 0; slot < numSlots; slot += 1) {
    const slotRows = (rowStarts[slot + 1] ?? 0) - (rowStarts[slot] ?? 0);
    if (slotRows < 0) refuse(`row starts fall at slot ${slot}`);
    if (slotRows > numPaddedRows) refuse(`slot ${slot} has ${slotRows} rows of ${numPaddedRows} padded rows`);
  }
}

/** All padded rows are written: a sequence needs as many scratch columns, an idle slot too. */
function checkWriteIndexes({ writeIndexes, numSlots, numPaddedRows }: ForwardBatch, capacity: number): void {
  for (let slot = 0; slot < numSlots; slot += 1) {
    const start = writeIndexes[slot] ?? -1;
    const end = start + numPaddedRows;
    if (start < 0 || end > capacity) refuse(`slot ${slot} writes columns ${start} to ${end} of ${capacity}`);
  }
}

function checkRange(what: string, values: Int32Array, count: number, end: number, of: string): void {
  for (let index = 0; index < count; index += 1) {
    const value = values[index] ?? -1;
    if (value < 0 || value >= end) refuse(`${what} ${value} is outside ${of} (${end})`);
  }
}
