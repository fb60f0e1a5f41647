import type { ModelConfig } from '../model/config.ts';
import type { RunCosts } from './segments.ts';

/** Rows that cost a CPU about as much as reading the weights does (npm run bench -- slots). */
const ROWS_PER_RUN = 10;
/** Softmax and masks beside the products. */
const ATTENTION_OVERHEAD = 1.5;
/** Padded rows that a slot's columns cost to read: few rows leave its products waiting for memory. */
const ROWS_PER_SLOT = 8;

/** What runs over a cache of so many columns cost, from the model's shape. */
export function runCosts(config: ModelConfig, capacity: number): RunCosts {
  const { hiddenSize, headDim, numHeads, numKeyValueHeads, intermediateSize } = config;
  const projections = hiddenSize * headDim * (2 * numHeads + 2 * numKeyValueHeads);
  const linear = projections + 3 * hiddenSize * intermediateSize; // multiplications of a row in a layer
  const attention = 2 * capacity * numHeads * headDim;
  const paddedRow = (ATTENTION_OVERHEAD * attention) / linear;
  return { run: ROWS_PER_RUN, slot: ROWS_PER_SLOT * paddedRow, paddedRow };
}
