import { TidarError } from '@tidar/shared/errors.ts';

/** Read-only numbers indexed by token id. */
export type Row = Float32Array | Float64Array;

export interface Sampling {
  /** 0: greedy. */
  readonly temperature: number;
  /** 0: off. */
  readonly topK: number;
  /** 1: off. */
  readonly topP: number;
  /** 0: off. */
  readonly minP: number;
  /** An unsigned 64-bit number. */
  readonly seed: bigint;
}

/** The winner of a keyed draw and its runner-up (-1 where truncation left only one token). */
export interface Candidates {
  readonly best: number;
  readonly secondBest: number;
}

const REMOVED = -Infinity;

/**
 * Draws one token from a row of logits: temperature → top-k → top-p → min-p → Gumbel-max. A pure function of the
 * row, the settings and the noise of the predicted position; all sums are in float64, in token order.
 * Greedy (temperature 0) needs neither truncation nor noise: `noise` is not called.
 */
export class Sampler {
  readonly #scores: Float64Array;

  constructor(vocabSize: number) {
    this.#scores = new Float64Array(vocabSize);
  }

  sample(logits: Row, sampling: Sampling, noise: () => Float64Array): Candidates {
    assertFinite(logits);
    if (sampling.temperature === 0) return bestTwo(logits);
    const scores = this.#scores;
    for (let id = 0; id < scores.length; id++) scores[id] = (logits[id] ?? REMOVED) / sampling.temperature;
    keepTopK(scores, sampling.topK);
    keepTopP(scores, sampling.topP);
    keepMinP(scores, sampling.minP);
    const keyed = noise();
    for (let id = 0; id < scores.length; id++) scores[id] = (scores[id] ?? REMOVED) + (keyed[id] ?? 0);
    return bestTwo(scores);
  }
}

/** The two highest scores' token ids; the lower id wins a tie. */
export function bestTwo(scores: Row): Candidates {
  let best = -1;
  let secondBest = -1;
  let bestScore = REMOVED;
  let secondScore = REMOVED;
  for (let id = 0; id < scores.length; id++) {
    const score = scores[id] ?? REMOVED;
    if (score > bestScore) {
      secondBest = best;
      secondScore = bestScore;
      best = id;
      bestScore = score;
    } else if (score > secondScore) {
      secondBest = id;
      secondScore = score;
    }
  }
  return { best, secondBest };
}

/** Keeps the k highest scores. */
export function keepTopK(scores: Float64Array, k: number): void {
  if (k <= 0 || k >= scores.length) return;
  keepHighest(scores, kthHighest(scores, k), k);
}

/** Keeps the fewest highest scores whose probabilities reach p, of what is left of the row. */
export function keepTopP(scores: Float64Array, p: number): void {
  if (p >= 1) return;
  const highest = maximum(scores);
  let total = 0;
  for (const score of scores) total += Math.exp(score - highest);
  // Tokens below this probability sum to less than 1 - p even together, so none of them is in the kept set.
  const floor = highest + Math.log(((1 - p) / scores.length) * total);
  const candidates = scores.filter((score) => score >= floor).sort();
  let reached = 0;
  let numKept = 0;
  let threshold = highest;
  while (numKept < candidates.length && (numKept === 0 || reached < p * total)) {
    threshold = candidates[candidates.length - 1 - numKept] ?? highest;
    reached += Math.exp(threshold - highest);
    numKept += 1;
  }
  keepHighest(scores, threshold, numKept);
}

/** Keeps the tokens with at least `minP` times the most likely one's probability. */
export function keepMinP(scores: Float64Array, minP: number): void {
  if (minP <= 0) return;
  const threshold = maximum(scores) + Math.log(minP);
  for (let id = 0; id < scores.length; id++) if ((scores[id] ?? REMOVED) < threshold) scores[id] = REMOVED;
}

/** Removes all but `count` scores, `threshold` being the lowest kept one; of equals, lower ids stay. */
function keepHighest(scores: Float64Array, threshold: number, count: number): void {
  let numTies = count;
  for (const score of scores) if (score > threshold) numTies -= 1;
  for (let id = 0; id < scores.length; id++) {
    const score = scores[id] ?? REMOVED;
    if (score > threshold || (score === threshold && numTies-- > 0)) continue;
    scores[id] = REMOVED;
  }
}

/** The k-th highest score, by a min-heap of the k highest so far. */
function kthHighest(scores: Float64Array, k: number): number {
  const heap = scores.slice(0, k).sort(); // ascending order is a heap
  for (let id = k; id < scores.length; id++) {
    const score = scores[id] ?? REMOVED;
    if (score > (heap[0] ?? REMOVED)) replaceLowest(heap, score);
  }
  return heap[0] ?? REMOVED;
}

function replaceLowest(heap: Float64Array, score: number): void {
  let at = 0;
  for (;;) {
    let child = 2 * at + 1;
    if (child >= heap.length) break;
    if (child + 1 < heap.length && (heap[child + 1] ?? 0) < (heap[child] ?? 0)) child += 1;
    const lowest = heap[child] ?? REMOVED;
    if (lowest >= score) break;
    heap[at] = lowest;
    at = child;
  }
  heap[at] = score;
}

function maximum(scores: Row): number {
  let highest = REMOVED;
  for (const score of scores) if (score > highest) highest = score;
  return highest;
}

/** One sequence's broken numbers end that request; they never turn into text. */
function assertFinite(logits: Row): void {
  let check = 0;
  for (let id = 0; id < logits.length; id++) check += (logits[id] ?? 0) * 0; // NaN if any is not finite
  if (check === 0) return;
  throw new TidarError('internal', 'The model computed a number that is not finite; the request was ended.', {
    internal: 'non-finite logit',
  });
}
