import { gumbelNoise } from '@tidar/shared/noise.ts';
import type { GrammarState } from '../grammar/grammar-state.ts';
import type { TokenDrawerOptions } from './token-drawer.ts';
import { isGreedy } from './settings.ts';
import type { Draw, LogitsRow, Row } from './settings.ts';

/** Helpers of the sampling tests: rows with candidates, a small grammar, and the draw written as plainly as possible. */

/** A row that counts how often it was read whole. */
export interface CountingRow extends LogitsRow {
  readonly numFullReads: number;
}

/** Candidates as a device gives them: by sorting, and with a log-sum-exp that is a little wrong, as float32 sums are. */
export function rowWithCandidates(logits: Float32Array, numCandidates: number, error = 0): CountingRow {
  const order = [...logits.keys()].sort((a, b) => (logits[b] ?? 0) - (logits[a] ?? 0) || a - b);
  const tokenIds = Int32Array.from(order.slice(0, numCandidates));
  const highest = Math.max(...logits);
  const sum = logits.reduce((total, logit) => total + Math.exp(logit - highest), 0);
  let numFullReads = 0;
  return {
    full: () => {
      numFullReads += 1;
      return logits;
    },
    candidates: {
      tokenIds,
      scores: Float32Array.from(tokenIds, (tokenId) => logits[tokenId] ?? 0),
      logSumExp: Math.fround(highest + Math.log(sum * (1 + error))),
    },
    get numFullReads() {
      return numFullReads;
    },
  };
}

/** A finite automaton: after a text whose ids sum to s, token t is allowed if (s + t · t) mod `modulus` < `width`. */
export class SumGrammar implements GrammarState {
  readonly accepted: number[] = [];
  readonly #vocabSize: number;
  readonly #modulus: number;
  readonly #width: number;

  constructor(vocabSize: number, modulus: number, width: number) {
    this.#vocabSize = vocabSize;
    this.#modulus = modulus;
    this.#width = width;
  }

  isAllowed(tokenId: number): boolean {
    const sum = this.accepted.reduce((total, id) => total + id, 0);
    return (sum + tokenId * tokenId) % this.#modulus < this.#width;
  }

  allowed(): Int32Array | undefined {
    if (this.#width >= this.#modulus) return undefined;
    const bits = new Int32Array(Math.ceil(this.#vocabSize / 32));
    for (let id = 0; id < this.#vocabSize; id++)
      if (this.isAllowed(id)) bits[id >> 5] = (bits[id >> 5] ?? 0) | (1 << (id & 31));
    return bits;
  }

  accept(tokenId: number): boolean {
    if (!this.isAllowed(tokenId)) return false;
    this.accepted.push(tokenId);
    return true;
  }

  rollback(numTokens: number): void {
    if (numTokens > this.accepted.length) throw new RangeError('rolled back past the start');
    this.accepted.length -= numTokens;
  }

  dispose(): void {
    this.accepted.length = 0;
  }
}

export interface SlowOptions extends Pick<
  TokenDrawerOptions,
  'sampling' | 'choice' | 'promptIds' | 'endTokenIds'
> {
  /** All of the completion so far. */
  readonly completionIds: readonly number[];
  /** What a grammar allows next. */
  readonly isAllowed?: (tokenId: number) => boolean;
}

/** A row's scores after every processor but temperature and what follows, counted from scratch. */
export function processedScores(logits: Row, options: SlowOptions): number[] {
  const { sampling, promptIds, completionIds, endTokenIds, isAllowed = () => true } = options;
  return Array.from(logits, (logit, id) => {
    const count = completionIds.filter((tokenId) => tokenId === id).length;
    let score = logit + (sampling.logitBias.find(([tokenId]) => tokenId === id)?.[1] ?? 0);
    if (count > 0 || promptIds.includes(id))
      score = score > 0 ? score / sampling.repetitionPenalty : score * sampling.repetitionPenalty;
    score -= sampling.frequencyPenalty * count;
    if (count > 0) score -= sampling.presencePenalty;
    const isEarlyEnd = completionIds.length < sampling.minTokens && endTokenIds.has(id);
    return isEarlyEnd || !isAllowed(id) ? -Infinity : score;
  });
}

/** The oracle: every step over the whole row, noise for every token, everything sorted. */
export function slowDraw(logits: Row, position: number, options: SlowOptions): Draw {
  const { temperature, topK, topP, minP, seed } = options.sampling;
  let scores = processedScores(logits, options);
  const byScore = (): number[] =>
    [...scores.keys()].sort((a, b) => (scores[b] ?? 0) - (scores[a] ?? 0) || a - b);
  if (!isGreedy(options.sampling)) {
    scores = scores.map((score) => score / temperature);
    const keep = (kept: readonly number[]): void => {
      const set = new Set(kept);
      scores = scores.map((score, id) => (set.has(id) ? score : -Infinity));
    };
    if (topK > 0) keep(byScore().slice(0, topK));
    const highest = Math.max(...scores);
    const total = scores.reduce((sum, score) => sum + Math.exp(score - highest), 0);
    let reached = 0;
    const isBelow = (id: number): boolean => {
      const goesOn = reached === 0 || reached < topP * total;
      reached += Math.exp((scores[id] ?? 0) - highest);
      return goesOn;
    };
    if (topP < 1) keep(byScore().filter(isBelow));
    if (minP > 0) scores = scores.map((score) => (score < highest + Math.log(minP) ? -Infinity : score));
    scores = scores.map((score, id) => score + gumbelNoise(seed, options.choice, position, id));
  }
  const [best = -1, second = -1] = byScore().filter((id) => scores[id] !== -Infinity);
  const margin = second < 0 ? Infinity : (scores[best] ?? 0) - (scores[second] ?? 0);
  return { best, secondBest: second, margin };
}
