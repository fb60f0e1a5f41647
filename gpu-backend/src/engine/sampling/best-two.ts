import { notFinite, REMOVED } from './row.ts';
import type { Row } from './settings.ts';

/** The two highest scores seen so far, of equals the lower id first. One object is reused for every row. */
export class BestTwo {
  best = -1;
  secondBest = -1;
  bestScore = REMOVED;
  secondScore = REMOVED;

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

/** Four at a time: as long as none is higher than the second best, one comparison of their sum tells that all are finite. */
function scanFloat32(row: Float32Array, into: BestTwo): void {
  into.clear();
  let secondScore = REMOVED;
  const numInFours = row.length & ~3;
  for (let id = 0; id < numInFours; id += 4) {
    const a = row[id] ?? 0;
    const b = row[id + 1] ?? 0;
    const c = row[id + 2] ?? 0;
    const d = row[id + 3] ?? 0;
    const areLow = a <= secondScore && b <= secondScore && c <= secondScore && d <= secondScore;
    if (areLow && a + b + (c + d) > -Infinity) continue; // not so if any is NaN or -Infinity
    for (let at = id; at < id + 4; at++) addFinite(at, row[at] ?? 0, into);
    secondScore = into.secondScore;
  }
  for (let id = numInFours; id < row.length; id++) addFinite(id, row[id] ?? 0, into);
}

function scanFloat64(row: Float64Array, into: BestTwo): void {
  into.clear();
  for (let id = 0; id < row.length; id++) {
    addFinite(id, row[id] ?? 0, into);
  }
}

function addFinite(tokenId: number, score: number, into: BestTwo): void {
  if (!Number.isFinite(score)) throw notFinite();
  if (score > into.secondScore) into.add(tokenId, score);
}
