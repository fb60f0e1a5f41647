import { notFinite, REMOVED } from './row.ts';
import type { Draw, Row } from './settings.ts';

/** The two highest scores seen so far, of equals the lower id first. One object is reused for every row. */
export class BestTwo implements Draw {
  best = -1;
  secondBest = -1;
  bestScore = REMOVED;
  secondScore = REMOVED;

  get margin(): number {
    return this.secondBest < 0 ? Infinity : this.bestScore - this.secondScore;
  }

  clear(): void {
    this.best = this.secondBest = -1;
    this.bestScore = this.secondScore = REMOVED;
  }

  /** Tokens may come in any order. */
  add(tokenId: number, score: number): void {
    if (score < this.secondScore || score === REMOVED) return;
    if (score > this.bestScore || (score === this.bestScore && tokenId < this.best)) {
      this.secondBest = this.best;
      this.secondScore = this.bestScore;
      this.best = tokenId;
      this.bestScore = score;
    } else if (score > this.secondScore || tokenId < this.secondBest) {
      this.secondBest = tokenId;
      this.secondScore = score;
    }
  }
}

/** Greedy decoding's loop over a whole row, which also finds every number that is not finite. */
export function scanRow(row: Row, into: BestTwo): void {
  if (row instanceof Float32Array) scanFloat32(row, into);
  else scanFloat64(row, into);
}

// Two copies: one loop that reads both array types is several times slower.

function scanFloat32(row: Float32Array, into: BestTwo): void {
  let best = -1;
  let second = -1;
  let bestScore = REMOVED;
  let secondScore = REMOVED;
  let check = 0;
  for (let id = 0; id < row.length; id++) {
    const score = row[id] ?? 0;
    check += score * 0; // NaN if any is not finite
    if (score > secondScore) {
      if (score > bestScore) {
        second = best;
        secondScore = bestScore;
        best = id;
        bestScore = score;
      } else {
        second = id;
        secondScore = score;
      }
    }
  }
  if (check !== 0) throw notFinite();
  store(into, best, bestScore, second, secondScore);
}

function scanFloat64(row: Float64Array, into: BestTwo): void {
  into.clear();
  for (let id = 0; id < row.length; id++) {
    const score = row[id] ?? 0;
    if (!Number.isFinite(score)) throw notFinite();
    if (score > into.secondScore) into.add(id, score);
  }
}

function store(into: BestTwo, best: number, bestScore: number, second: number, secondScore: number): void {
  into.best = best;
  into.bestScore = bestScore;
  into.secondBest = second;
  into.secondScore = secondScore;
}
