import type { ModelConfig } from '../model/config.ts';
import { BoundArray } from './bound-array.ts';
import type { ForwardBatch } from './device.ts';

/** A batch as the serving graph takes it: the arrays that every run reads, filled in place. */
export class StepInputs {
  readonly #config: ModelConfig;
  readonly #tokenIds = new BoundArray('token_ids', 'int32');
  readonly #positions = new BoundArray('positions', 'int32');
  readonly #queryPlaces = new BoundArray('query_places', 'int32');
  readonly #keyPlaces = new BoundArray('key_places', 'int32');
  readonly #valuePlaces = new BoundArray('value_places', 'int32');
  readonly #mixedPlaces = new BoundArray('mixed_places', 'int32');
  readonly #writeIndexes = new BoundArray('write_indexes', 'int64');
  readonly #mask = new BoundArray('mask', 'bool');
  readonly #logitRows = new BoundArray('logit_rows', 'int32');
  readonly #numCandidates = new BoundArray('num_candidates', 'int64');
  /** The row starts and padded rows that the places were computed for. */
  #placedFor = new Int32Array(0);
  readonly all: readonly BoundArray[];

  constructor(config: ModelConfig, hasCandidates: boolean) {
    this.#config = config;
    this.all = [
      this.#tokenIds,
      this.#positions,
      this.#queryPlaces,
      this.#keyPlaces,
      this.#valuePlaces,
      this.#mixedPlaces,
      this.#writeIndexes,
      this.#mask,
      this.#logitRows,
      ...(hasCandidates ? [this.#numCandidates] : []),
    ];
  }

  fill(batch: ForwardBatch, capacity: number): void {
    const { numSlots, numRows, numPaddedRows, numLogitRows } = batch;
    copy(batch.tokenIds, this.#tokenIds.resize([numRows]), numRows);
    copy(batch.positions, this.#positions.resize([numRows]), numRows);
    copy(batch.logitRows, this.#logitRows.resize([numLogitRows]), numLogitRows);
    const writeIndexes = this.#writeIndexes.resize([numSlots]);
    for (let slot = 0; slot < numSlots; slot += 1) writeIndexes[2 * slot] = batch.writeIndexes[slot] ?? 0;
    this.#numCandidates.resize([1])[0] = batch.numCandidates;
    const mask = this.#mask.resize([numSlots, 1, numPaddedRows, capacity]);
    const numEntries = numSlots * numPaddedRows * capacity;
    mask.set(batch.mask.length === numEntries ? batch.mask : batch.mask.subarray(0, numEntries));
    if (this.#arePlaced(batch)) return;
    this.#placeRows(batch);
    this.#placeMixed(batch);
  }

  /** Sequences mostly keep their plan from step to step, and then the places are the same. */
  #arePlaced({ numSlots, numPaddedRows, rowStarts }: ForwardBatch): boolean {
    const known = this.#placedFor;
    let isSame = known.length === numSlots + 2 && known[0] === numPaddedRows;
    for (let slot = 0; isSame && slot <= numSlots; slot += 1) isSame = known[slot + 1] === rowStarts[slot];
    if (!isSame) this.#placedFor = Int32Array.of(numPaddedRows, ...rowStarts.subarray(0, numSlots + 1));
    return isSame;
  }

  /**
   * Where each head of each padded row is found among the packed rows' heads. Padding repeats a real row: its own
   * mask keeps it from being seen, and nothing reads what it computes.
   */
  #placeRows({ numSlots, numPaddedRows, rowStarts }: ForwardBatch): void {
    const { numHeads, numKeyValueHeads } = this.#config;
    const group = numHeads / numKeyValueHeads;
    const width = numHeads + numKeyValueHeads;
    const queries = this.#queryPlaces.resize([numSlots, numKeyValueHeads, group * numPaddedRows]);
    const keys = this.#keyPlaces.resize([numSlots, numKeyValueHeads, numPaddedRows]);
    const values = this.#valuePlaces.resize([numSlots, numKeyValueHeads, numPaddedRows]);
    for (let slot = 0; slot < numSlots; slot += 1) {
      const start = rowStarts[slot] ?? 0;
      const numSlotRows = (rowStarts[slot + 1] ?? 0) - start;
      for (let place = 0; place < numPaddedRows; place += 1) {
        const row = place < numSlotRows ? start + place : numSlotRows > 0 ? start : 0;
        for (let head = 0; head < numHeads; head += 1) {
          queries[(slot * numHeads + head) * numPaddedRows + place] = row * width + head;
        }
        for (let head = 0; head < numKeyValueHeads; head += 1) {
          const at = (slot * numKeyValueHeads + head) * numPaddedRows + place;
          keys[at] = row * width + numHeads + head;
          values[at] = row * numKeyValueHeads + head;
        }
      }
    }
  }

  /** Where each head of each packed row is found in attention's output. */
  #placeMixed({ numSlots, numRows, numPaddedRows, rowStarts }: ForwardBatch): void {
    const { numHeads } = this.#config;
    const mixed = this.#mixedPlaces.resize([numRows, numHeads]);
    for (let slot = 0; slot < numSlots; slot += 1) {
      const start = rowStarts[slot] ?? 0;
      const end = rowStarts[slot + 1] ?? 0;
      for (let row = start; row < end; row += 1) {
        for (let head = 0; head < numHeads; head += 1) {
          mixed[row * numHeads + head] = (slot * numHeads + head) * numPaddedRows + row - start;
        }
      }
    }
  }
}

function copy(from: Int32Array, to: Int32Array, count: number): void {
  for (let index = 0; index < count; index += 1) to[index] = from[index] ?? 0;
}
