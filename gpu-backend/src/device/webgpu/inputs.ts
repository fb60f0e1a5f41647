import type { ModelConfig } from '../../model/config.ts';
import { BoundArray } from '../bound-array.ts';
import type { ForwardBatch } from '../device.ts';
import { StepInputs } from '../step-inputs.ts';

/** What only the CPU's graph takes. */
const OTHERS = new Set(['key_places', 'value_places', 'write_indexes']);

/** A batch as the graph for WebGPU takes it. It begins at slot 0. */
export class WebGpuInputs {
  readonly #config: ModelConfig;
  readonly #step: StepInputs;
  readonly #keyRows = new BoundArray('key_rows', 'int32');
  readonly #cachePlaces = new BoundArray('cache_places', 'int32');
  readonly #cacheShape = new BoundArray('cache_shape', 'int64');
  readonly all: readonly BoundArray[];

  constructor(config: ModelConfig, hasCandidates: boolean) {
    this.#config = config;
    this.#step = new StepInputs(config, hasCandidates);
    const shared = this.#step.all.filter(({ name }) => !OTHERS.has(name));
    this.all = [...shared, this.#keyRows, this.#cachePlaces, this.#cacheShape];
  }

  fill(batch: ForwardBatch, capacity: number): void {
    this.#step.fill(batch, capacity);
    const { numHeads, numKeyValueHeads, headDim } = this.#config;
    const { numSlots, numRows, rowStarts, writeIndexes } = batch;
    const numColumns = numRows * numKeyValueHeads;
    const keyRows = this.#keyRows.resize([numColumns]);
    const places = this.#cachePlaces.resize([numColumns, 1]);
    let at = 0;
    for (let slot = 0; slot < numSlots; slot += 1) {
      const start = rowStarts[slot] ?? 0;
      const end = rowStarts[slot + 1] ?? 0;
      for (let row = start; row < end; row += 1) {
        const column = (writeIndexes[slot] ?? 0) + row - start;
        for (let head = 0; head < numKeyValueHeads; head += 1, at += 1) {
          keyRows[at] = row * (numHeads + numKeyValueHeads) + numHeads + head;
          places[at] = (slot * numKeyValueHeads + head) * capacity + column;
        }
      }
    }
    const shape = this.#cacheShape.resize([4]);
    [numSlots, numKeyValueHeads, capacity, headDim].forEach((size, axis) => (shape[2 * axis] = size));
  }
}

/** The same rows in a batch that begins at slot 0: the slots before take part without rows, and nothing of them is written. */
export function fromFirstSlot(batch: ForwardBatch, capacity: number): ForwardBatch {
  const { firstSlot = 0, numSlots, numPaddedRows } = batch;
  if (firstSlot === 0) return batch;
  const mask = new Uint8Array((firstSlot + numSlots) * numPaddedRows * capacity);
  mask.set(batch.mask.subarray(0, numSlots * numPaddedRows * capacity), firstSlot * numPaddedRows * capacity);
  return {
    ...batch,
    firstSlot: 0,
    numSlots: firstSlot + numSlots,
    rowStarts: Int32Array.of(...new Array<number>(firstSlot).fill(0), ...batch.rowStarts),
    writeIndexes: Int32Array.of(...new Array<number>(firstSlot).fill(0), ...batch.writeIndexes),
    mask,
  };
}
