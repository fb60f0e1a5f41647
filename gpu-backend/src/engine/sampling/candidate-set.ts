import type { RowCandidates } from '../../device/device.ts';
import type { Processors } from './processors.ts';
import { notFinite, REMOVED } from './row.ts';
import { minPThreshold } from './truncation.ts';

/** Rounding of sums in another order than the whole row's. */
const SUM_ERROR = 1e-9;
/** The device sums a row in float32: error of exp(log-sum-exp), relative, beside the logarithm's own last bits. */
const LOG_SUM_EXP_ERROR = 1e-4;
const FLOAT32_EPSILON = 2 ** -22;

/**
 * The candidates of a row on their way through processors and truncation, in the order of the whole row's scores
 * (falling, of equals the lower id first). Ranks [0, numSure) are surely what the whole row keeps too,
 * [numSure, numKept) perhaps. All other tokens have a score of `outside` at most.
 */
export class CandidateSet {
  scores = new Float64Array(0);
  tokenIds = new Int32Array(0);
  numKept = 0;
  numSure = 0;
  /** -Infinity where no other token is left. */
  outside = REMOVED;
  /** Ranks [numKept, numLoaded) are candidates that a token without a candidate might be above of. */
  #numLoaded = 0;
  #vocabSize = 0;
  #temperature = 1;
  #raw: RowCandidates = { scores: new Float32Array(0), tokenIds: this.tokenIds, logSumExp: 0 };
  #canRaise = false;

  /** Refuses a row whose log-sum-exp is not finite (any NaN or Infinity in it) or that has such a candidate. */
  load(candidates: RowCandidates, vocabSize: number, temperature: number, processors: Processors): void {
    assertFinite(candidates);
    const { scores, tokenIds } = candidates;
    if (this.scores.length < scores.length) {
      this.scores = new Float64Array(scores.length);
      this.tokenIds = new Int32Array(scores.length);
    }
    this.#raw = candidates;
    this.#vocabSize = vocabSize;
    this.#temperature = temperature;
    this.#canRaise = processors.canRaise;
    const lowest = scores[scores.length - 1] ?? REMOVED;
    this.outside = processors.outsideBound(tokenIds, lowest) / temperature;
    if (processors.keepRow) this.#copy(candidates, temperature);
    else this.#process(candidates, temperature, processors);
    this.numSure = this.numKept;
  }

  /** Keeps the k highest scores. */
  keepTopK(k: number): void {
    if (k <= 0 || k > this.numKept) return; // tokens beyond the candidates belong to them too, or none is left
    this.numKept = this.numSure = k;
    this.outside = REMOVED;
  }

  /** Keeps the fewest highest scores whose probabilities reach p, by bounds on the sum of all of them. */
  keepTopP(p: number): void {
    if (p >= 1 || this.numKept === 0) return;
    const { scores } = this;
    const highest = scores[0] ?? REMOVED;
    let sum = 0;
    for (let rank = 0; rank < this.numKept; rank++) sum += Math.exp((scores[rank] ?? REMOVED) - highest);
    const enough = p * (sum + this.#massOutside(highest)) * (1 + SUM_ERROR);
    const surelyNotEnough = p * sum * (1 - SUM_ERROR);
    let reached = 0;
    let numKept = 0;
    let numSure = 0;
    while (numKept < this.numKept && (numKept === 0 || reached < enough)) {
      if (numKept === 0 || reached < surelyNotEnough) numSure += 1;
      reached += Math.exp((scores[numKept] ?? REMOVED) - highest);
      numKept += 1;
    }
    if (reached >= enough) this.outside = REMOVED;
    this.numKept = numKept;
    this.numSure = Math.min(this.numSure, numSure);
  }

  /** Keeps the tokens with at least `minP` times the most likely one's probability. */
  keepMinP(minP: number): void {
    if (minP <= 0 || this.numKept === 0) return;
    const threshold = minPThreshold(this.scores[0] ?? REMOVED, minP);
    while (this.numKept > 0 && (this.scores[this.numKept - 1] ?? REMOVED) < threshold) this.numKept -= 1;
    this.numSure = Math.min(this.numSure, this.numKept);
    if (this.outside < threshold) this.outside = REMOVED;
  }

  isSure(tokenId: number): boolean {
    if (this.numSure === this.numKept) return true;
    for (let rank = 0; rank < this.numSure; rank++) if (this.tokenIds[rank] === tokenId) return true;
    return false;
  }

  /** An untouched row: its candidates are its highest scores, in order. */
  #copy({ scores, tokenIds }: RowCandidates, temperature: number): void {
    for (let rank = 0; rank < scores.length; rank++)
      this.scores[rank] = (scores[rank] ?? REMOVED) / temperature;
    this.tokenIds.set(tokenIds);
    this.numKept = this.#numLoaded = scores.length;
  }

  /** Keeps the candidates that are surely above all other tokens; equals are not, since the lower id goes first. */
  #process({ scores, tokenIds }: RowCandidates, temperature: number, processors: Processors): void {
    let numLoaded = 0;
    for (let rank = 0; rank < scores.length; rank++) {
      const tokenId = tokenIds[rank] ?? -1;
      const score = processors.process(tokenId, scores[rank] ?? REMOVED) / temperature;
      if (score === REMOVED) continue;
      this.#insert(tokenId, score, numLoaded);
      numLoaded += 1;
    }
    this.numKept = this.#numLoaded = numLoaded;
    while (this.numKept > 0 && (this.scores[this.numKept - 1] ?? REMOVED) <= this.outside) this.numKept -= 1;
  }

  /** Few candidates change their places, so that this looks at one neighbour mostly. */
  #insert(tokenId: number, score: number, numLoaded: number): void {
    let at = numLoaded;
    for (; at > 0; at--) {
      const above = this.scores[at - 1] ?? REMOVED;
      const aboveId = this.tokenIds[at - 1] ?? -1;
      if (above > score || (above === score && aboveId < tokenId)) break;
      this.scores[at] = above;
      this.tokenIds[at] = aboveId;
    }
    this.scores[at] = score;
    this.tokenIds[at] = tokenId;
  }

  /** At least the sum of exp(score - highest) over all tokens that are not kept for sure. */
  #massOutside(highest: number): number {
    if (this.outside === REMOVED) return 0;
    let mass = 0;
    for (let rank = this.numKept; rank < this.#numLoaded; rank++)
      mass += Math.exp((this.scores[rank] ?? REMOVED) - highest);
    const numOthers = this.#vocabSize - this.#raw.scores.length;
    const byCount = numOthers * Math.exp(this.outside - highest);
    return mass + (this.#canRaise ? byCount : Math.min(byCount, this.#massByLogSumExp(highest, numOthers)));
  }

  /**
   * The same for tokens without a candidate, from the row's log-sum-exp: with x = exp(logit), at most e^lowest each,
   * the sum of x^(1/T) is at most e^(lowest · (1/T - 1)) times the sum of x for T ≤ 1, and at most
   * n^(1 - 1/T) times the sum's power 1/T for T ≥ 1.
   */
  #massByLogSumExp(highest: number, numOthers: number): number {
    const { scores, logSumExp } = this.#raw;
    const top = scores[0] ?? REMOVED;
    const lowest = scores[scores.length - 1] ?? REMOVED;
    const error = LOG_SUM_EXP_ERROR + Math.abs(logSumExp) * FLOAT32_EPSILON;
    let rest = Math.exp(logSumExp - top) * (1 + error);
    for (let rank = 0; rank < scores.length; rank++) rest -= Math.exp((scores[rank] ?? REMOVED) - top);
    if (!(rest > 0)) return Infinity; // the log-sum-exp is too wrong to be of use
    const inverse = 1 / this.#temperature;
    if (inverse >= 1) return rest * Math.exp(top + lowest * (inverse - 1) - highest);
    return numOthers ** (1 - inverse) * rest ** inverse * Math.exp(top * inverse - highest);
  }
}

function assertFinite({ scores, logSumExp }: RowCandidates): void {
  let check = logSumExp * 0;
  for (let rank = 0; rank < scores.length; rank++) check += (scores[rank] ?? 0) * 0;
  if (check !== 0) throw notFinite();
}
