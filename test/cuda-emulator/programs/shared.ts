import { appendFileSync } from 'node:fs';
import type { ForwardBatch } from '../../../gpu-backend/src/device/device.ts';
import type { ModelConfig } from '../../../gpu-backend/src/model/config.ts';
import { markLine } from '../log.ts';

/** Begins a phase of the emulator's log. */
export function mark(name: string): void {
  appendFileSync(process.env['CUDA_EMULATOR_LOG'] ?? '', markLine(name));
}

/** What the program was asked, as JSON. */
export const asked = <T>(): T => JSON.parse(process.argv[2] ?? '{}') as T;

/** Tells the check what was found: the last line. */
export function tell(found: unknown): void {
  process.stdout.write(`${JSON.stringify(found)}\n`);
}

/** Bytes of what a run is given and gives: counted from the batch alone, by the graph's own list of them. */
export function stepBytes(
  { numHeads, numKeyValueHeads, vocabSize }: ModelConfig,
  { numSlots, numRows, numPaddedRows, numLogitRows, numCandidates }: ForwardBatch,
  capacity: number,
  hasCandidates: boolean,
): { inputs: number; outputs: number } {
  const perRow = 4 + 4 + 4 * numHeads; // token, position, places of mixed heads
  const perPlace = 4 * (numHeads + 2 * numKeyValueHeads); // of queries, keys and values
  const perSlot = 8; // where rows are written
  const mask = numSlots * numPaddedRows * capacity;
  return {
    inputs:
      numRows * perRow + numSlots * numPaddedRows * perPlace + numSlots * perSlot + mask + 4 * numLogitRows,
    outputs: numLogitRows * (hasCandidates ? 8 * numCandidates + 4 : 4 * vocabSize),
  };
}
