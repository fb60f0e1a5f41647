import { z } from 'zod';
import type { DraftOrigin } from '../sequence.ts';

export const ORIGINS: readonly DraftOrigin[] = ['full', 'blind', 'corrected'];

/** Lower edges of the bins of a draft's margin, in the units of its scores. The first bin starts at 0. */
const MARGIN_EDGES = [0.25, 0.5, 1, 1.5, 2, 3, 4.5, 7, 11];
export const NUM_MARGIN_BINS = MARGIN_EDGES.length + 1;
/** Lower edges of the bins of a draft's place in its block, which counts from 1. */
const DEPTH_EDGES = [2, 3, 5, 8, 12];
const NUM_DEPTH_BINS = DEPTH_EDGES.length + 1;
const NUM_CELLS = ORIGINS.length * NUM_DEPTH_BINS * NUM_MARGIN_BINS;

/** What is believed of a model that nothing is known of, by margin; each worth a few observations. */
const PRIOR_ACCEPTED = [0.35, 0.45, 0.55, 0.65, 0.75, 0.85, 0.92, 0.96, 0.98, 0.985];
const PRIOR_SECOND = [0.5, 0.5, 0.5, 0.45, 0.45, 0.4, 0.4, 0.3, 0.2, 0.2];
const PRIOR_WEIGHT = 4;
/** A finer cell takes over from the coarser one around it as it fills. */
const PARENT_WEIGHT = 8;
/** Nothing is surer than this, or one text's surprise could not outweigh it. */
const MAX_LOG_ODDS = 6;
/** Beyond so many observations a cell forgets the older half. */
const MAX_OBSERVATIONS = 1024;
/** Probabilities follow the counts at once while these are few, later after so many observations. */
const REFRESH_EVERY = 64;
const EARLY_SHARE = 8;

const countsSchema = (length: number): z.ZodType<number[]> => z.array(z.number().min(0)).length(length);

/** Kept with the model. Accepted and observed by [origin, depth, margin]; second best by [margin]. */
export const acceptanceFileSchema = z.object({
  version: z.literal(1),
  accepted: countsSchema(NUM_CELLS),
  observed: countsSchema(NUM_CELLS),
  secondBestHits: countsSchema(NUM_MARGIN_BINS),
  rejected: countsSchema(NUM_MARGIN_BINS),
});

export type AcceptanceFile = z.infer<typeof acceptanceFileSchema>;

/**
 * What all sequences' drafts came to: how likely a draft is accepted once all before it are, by its margin, its depth
 * in the block and what the block came from; and how likely, if it is rejected, its second best is the token.
 */
export class AcceptanceTable {
  readonly #accepted = new Float64Array(NUM_CELLS);
  readonly #observed = new Float64Array(NUM_CELLS);
  readonly #secondBestHits = new Float64Array(NUM_MARGIN_BINS);
  readonly #rejected = new Float64Array(NUM_MARGIN_BINS);
  /** Log-odds of acceptance by cell, derived from the counts now and then. */
  readonly #logOdds = new Float64Array(NUM_CELLS);
  readonly #secondBest = new Float64Array(NUM_MARGIN_BINS);
  #numUnseen = 0;
  #numObserved = 0;

  constructor(file?: AcceptanceFile) {
    if (file !== undefined) {
      this.#accepted.set(file.accepted);
      this.#observed.set(file.observed);
      this.#secondBestHits.set(file.secondBestHits);
      this.#rejected.set(file.rejected);
    }
    this.#refresh();
  }

  static parse(json: unknown): AcceptanceTable {
    return new AcceptanceTable(acceptanceFileSchema.parse(json));
  }

  toJSON(): AcceptanceFile {
    return {
      version: 1,
      accepted: [...this.#accepted],
      observed: [...this.#observed],
      secondBestHits: [...this.#secondBestHits],
      rejected: [...this.#rejected],
    };
  }

  logOdds(cell: number): number {
    return this.#logOdds[cell] ?? 0;
  }

  secondBest(marginBin: number): number {
    return this.#secondBest[marginBin] ?? 0;
  }

  /** How often drafts of that origin and depth had that margin: what blocks of the model look like. */
  numObserved(cell: number): number {
    return this.#observed[cell] ?? 0;
  }

  observeDraft(cell: number, isAccepted: boolean): void {
    add(this.#accepted, this.#observed, cell, isAccepted);
    this.#numObserved += 1;
    const every = Math.min(REFRESH_EVERY, this.#numObserved / EARLY_SHARE);
    if (++this.#numUnseen >= every) this.#refresh();
  }

  observeSecondBest(marginBin: number, isToken: boolean): void {
    add(this.#secondBestHits, this.#rejected, marginBin, isToken);
  }

  /** Margin alone → margin and origin → margin, origin and depth, each shrunk towards the one before. */
  #refresh(): void {
    this.#numUnseen = 0;
    for (let margin = 0; margin < NUM_MARGIN_BINS; margin++) {
      const all = this.#estimate(margin, 0, ORIGINS.length * NUM_DEPTH_BINS, {
        value: PRIOR_ACCEPTED[margin] ?? 0.5,
        weight: PRIOR_WEIGHT,
      });
      for (let origin = 0; origin < ORIGINS.length; origin++) {
        const first = origin * NUM_DEPTH_BINS;
        const parent = { value: all, weight: PARENT_WEIGHT };
        const value = this.#estimate(margin, first, first + NUM_DEPTH_BINS, parent);
        for (let depth = first; depth < first + NUM_DEPTH_BINS; depth++) {
          const p = this.#estimate(margin, depth, depth + 1, { value, weight: PARENT_WEIGHT });
          const logOdds = Math.log(p / (1 - p));
          this.#logOdds[depth * NUM_MARGIN_BINS + margin] = Math.min(
            MAX_LOG_ODDS,
            Math.max(-MAX_LOG_ODDS, logOdds),
          );
        }
      }
      const prior = PRIOR_WEIGHT * (PRIOR_SECOND[margin] ?? 0);
      const hits = (this.#secondBestHits[margin] ?? 0) + prior;
      this.#secondBest[margin] = hits / ((this.#rejected[margin] ?? 0) + PRIOR_WEIGHT);
    }
  }

  #estimate(margin: number, from: number, to: number, prior: { value: number; weight: number }): number {
    let accepted = prior.value * prior.weight;
    let observed = prior.weight;
    for (let row = from; row < to; row++) {
      accepted += this.#accepted[row * NUM_MARGIN_BINS + margin] ?? 0;
      observed += this.#observed[row * NUM_MARGIN_BINS + margin] ?? 0;
    }
    return accepted / observed;
  }
}

function add(hits: Float64Array, all: Float64Array, at: number, isHit: boolean): void {
  hits[at] = (hits[at] ?? 0) + (isHit ? 1 : 0);
  const count = (all[at] ?? 0) + 1;
  all[at] = count;
  if (count < MAX_OBSERVATIONS) return;
  hits[at] = (hits[at] ?? 0) / 2;
  all[at] = count / 2;
}

export function marginBin(margin: number): number {
  let bin = 0;
  while (bin < MARGIN_EDGES.length && margin >= (MARGIN_EDGES[bin] ?? Infinity)) bin++;
  return bin;
}

/** `depth` counts from 1: a block's first draft. */
export function acceptanceCell(origin: number, depth: number, bin: number): number {
  let depthBin = 0;
  while (depthBin < DEPTH_EDGES.length && depth >= (DEPTH_EDGES[depthBin] ?? Infinity)) depthBin++;
  return (origin * NUM_DEPTH_BINS + depthBin) * NUM_MARGIN_BINS + bin;
}
