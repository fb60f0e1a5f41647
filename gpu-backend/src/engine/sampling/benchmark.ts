import type { RowCandidates } from '../../device/device.ts';
import { logSumExp } from './logprobs.ts';
import { PLAIN_SAMPLING } from './settings.ts';
import type { LogitsRow, Sampling } from './settings.ts';
import { TokenDrawer } from './token-drawer.ts';

/** What one draw costs, apart from the model: measured, never assumed. */
export interface SamplingCost {
  readonly vocabSize: number;
  readonly settings: string;
  /** 0: the whole row was given. */
  readonly numCandidates: number;
  /** Median over batches of rows, each at a position of its own, as verify rows are. */
  readonly microsecondsPerRow: number;
  /** Of rows with candidates, how many had to be read whole. */
  readonly fullReadShare: number;
}

const SETTINGS: Readonly<Record<string, Partial<Sampling>>> = {
  greedy: {},
  'temperature 0.8': { temperature: 0.8 },
  'temperature 0.8, top-p 0.95': { temperature: 0.8, topP: 0.95 },
  'temperature 0.8, top-k 40': { temperature: 0.8, topK: 40 },
  'greedy, penalties': { presencePenalty: 0.5, frequencyPenalty: 0.5, repetitionPenalty: 1.1 },
};

const NUM_ROWS = 16;
const NUM_BATCHES = 15;

export function measureSampling(vocabSizes: readonly number[], numCandidates: number): SamplingCost[] {
  return vocabSizes.flatMap((vocabSize) =>
    Object.entries(SETTINGS).flatMap(([settings, sampling]) =>
      [0, numCandidates].map((count) => measure(vocabSize, settings, sampling, count)),
    ),
  );
}

function measure(
  vocabSize: number,
  settings: string,
  sampling: Partial<Sampling>,
  numCandidates: number,
): SamplingCost {
  const rows = Array.from({ length: NUM_ROWS }, (_, at) => makeRow(vocabSize, numCandidates, at));
  const drawer = new TokenDrawer({
    sampling: { ...PLAIN_SAMPLING, ...sampling, seed: 7n },
    choice: 0,
    vocabSize,
    promptIds: Array.from({ length: 500 }, (_, at) => (at * 37) % vocabSize),
    committedIds: [],
    endTokenIds: new Set([0]),
  });
  const numRepeats = Math.max(1, Math.floor(40_000 / vocabSize));
  const times: number[] = [];
  let position = 0;
  for (let batch = 0; batch < NUM_BATCHES + 3; batch++) {
    const start = performance.now();
    for (let repeat = 0; repeat < numRepeats; repeat++)
      for (const row of rows) drawer.release(drawer.draw(row, position).best < 0 ? 0 : ++position);
    if (batch >= 3) times.push((1000 * (performance.now() - start)) / (numRepeats * NUM_ROWS)); // 3 to warm up
  }
  times.sort((a, b) => a - b);
  const numReads = rows.reduce((sum, row) => sum + row.numFullReads, 0);
  return {
    vocabSize,
    settings,
    numCandidates,
    microsecondsPerRow: times[NUM_BATCHES >> 1] ?? NaN,
    fullReadShare: numCandidates === 0 ? 1 : numReads / position,
  };
}

class MeasuredRow implements LogitsRow {
  numFullReads = 0;
  readonly candidates: RowCandidates | undefined;
  readonly #logits: Float32Array;

  constructor(logits: Float32Array, candidates: RowCandidates | undefined) {
    this.#logits = logits;
    this.candidates = candidates;
  }

  full(): Float32Array {
    this.numFullReads += 1;
    return this.#logits;
  }
}

/** Logits as a language model's: they fall with the logarithm of the rank, more steeply in some rows than in others. */
function makeRow(vocabSize: number, numCandidates: number, seed: number): MeasuredRow {
  const steepness = 1.2 + (seed % 8) * 0.3;
  const logits = Float32Array.from({ length: vocabSize }, (_, id) => {
    const rank = Math.imul(id + 977 * seed, 0x9e3779b1) >>> 7;
    return 14 - steepness * Math.log(1 + (rank % vocabSize));
  });
  if (numCandidates === 0) return new MeasuredRow(logits, undefined);
  const order = [...logits.keys()].sort((a, b) => (logits[b] ?? 0) - (logits[a] ?? 0) || a - b);
  const tokenIds = Int32Array.from(order.slice(0, numCandidates));
  const scores = Float32Array.from(tokenIds, (tokenId) => logits[tokenId] ?? 0);
  return new MeasuredRow(logits, { tokenIds, scores, logSumExp: Math.fround(logSumExp(logits)) });
}
