import { REMOVED } from './row.ts';

/**
 * Top-k, top-p and min-p over a whole row of scores, in place. All sums are in float64, in token order. The sorting
 * buffer is reused.
 */
export class Truncation {
  readonly #buffer: Float64Array;

  constructor(vocabSize: number) {
    this.#buffer = new Float64Array(vocabSize);
  }

  /** Keeps the k highest scores. */
  keepTopK(scores: Float64Array, k: number): void {
    if (k <= 0 || k >= scores.length) return;
    keepHighest(scores, this.#kthHighest(scores, k), k);
  }

  /** Keeps the fewest highest scores whose probabilities reach p, of what is left of the row. */
  keepTopP(scores: Float64Array, p: number): void {
    if (p >= 1) return;
    const highest = maximum(scores);
    let total = 0;
    for (let id = 0; id < scores.length; id++) total += Math.exp((scores[id] ?? REMOVED) - highest);
    // Tokens below this probability sum to less than 1 - p even together, so none of them is in the kept set.
    const floor = highest + Math.log(((1 - p) / scores.length) * total);
    const candidates = this.#sortedFrom(scores, floor);
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

  /** The scores that are at least `floor`, ascending; valid until the next call. */
  #sortedFrom(scores: Float64Array, floor: number): Float64Array {
    let numFound = 0;
    for (let id = 0; id < scores.length; id++) {
      const score = scores[id] ?? REMOVED;
      if (score >= floor) this.#buffer[numFound++] = score;
    }
    return this.#buffer.subarray(0, numFound).sort();
  }

  /** The k-th highest score, by a min-heap of the k highest so far. */
  #kthHighest(scores: Float64Array, k: number): number {
    const heap = this.#buffer.subarray(0, k);
    heap.set(scores.subarray(0, k));
    heap.sort(); // ascending order is a heap
    for (let id = k; id < scores.length; id++) {
      const score = scores[id] ?? REMOVED;
      if (score > (heap[0] ?? REMOVED)) replaceLowest(heap, score);
    }
    return heap[0] ?? REMOVED;
  }
}

/** Keeps the tokens with at least `minP` times the most likely one's probability. */
export function keepMinP(scores: Float64Array, minP: number): void {
  if (minP <= 0) return;
  const threshold = minPThreshold(maximum(scores), minP);
  for (let id = 0; id < scores.length; id++) if ((scores[id] ?? REMOVED) < threshold) scores[id] = REMOVED;
}

export function minPThreshold(highest: number, minP: number): number {
  return highest + Math.log(minP);
}

/** Removes all but `count` scores, `threshold` being the lowest kept one; of equals, lower ids stay. */
function keepHighest(scores: Float64Array, threshold: number, count: number): void {
  let numTies = count;
  for (let id = 0; id < scores.length; id++) if ((scores[id] ?? REMOVED) > threshold) numTies -= 1;
  for (let id = 0; id < scores.length; id++) {
    const score = scores[id] ?? REMOVED;
    if (score > threshold || (score === threshold && numTies-- > 0)) continue;
    scores[id] = REMOVED;
  }
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

export function maximum(scores: Float64Array): number {
  let highest = REMOVED;
  for (let id = 0; id < scores.length; id++) {
    const score = scores[id] ?? REMOVED;
    if (score > highest) highest = score;
  }
  return highest;
}
