import { acceptanceCell, NUM_MARGIN_BINS, ORIGINS } from './acceptance-table.ts';
import type { AcceptanceTable } from './acceptance-table.ts';

/** Of each origin. More make values steadier and slower to refresh. */
export const NUM_SAMPLES = 8;
/** Real blocks come faster than values are refreshed. */
const KEEP_EVERY = 2;

/**
 * Margins of whole blocks of drafts, the latest of each origin: what the drafts of a next step may look like. Whole
 * blocks, because margins of one block go together.
 */
export class BlockSamples {
  readonly maxDrafts: number;
  readonly #bins: Uint8Array; // [origin, sample, draft]
  readonly #ends: Int16Array; // [origin, sample]: drafts up to one that ends the text, 0: none does
  /** Drafts of a sample that were seen, of this block or one before it in its place. */
  readonly #numKnown: Int16Array; // [origin, sample]
  readonly #numSeen = new Int32Array(ORIGINS.length);

  /** Until real blocks come, drafts are as the table says one by one. */
  constructor(table: AcceptanceTable, maxDrafts: number) {
    this.maxDrafts = maxDrafts;
    this.#bins = new Uint8Array(ORIGINS.length * NUM_SAMPLES * maxDrafts);
    this.#ends = new Int16Array(ORIGINS.length * NUM_SAMPLES);
    this.#numKnown = new Int16Array(ORIGINS.length * NUM_SAMPLES);
    for (let origin = 0; origin < ORIGINS.length; origin++) {
      for (let sample = 0; sample < NUM_SAMPLES; sample++) {
        for (let draft = 0; draft < maxDrafts; draft++) {
          // Spread evenly over the distribution, in another order at each depth.
          const quantile = (((sample * 5 + draft * 7) % NUM_SAMPLES) + 0.5) / NUM_SAMPLES;
          this.#bins[this.#at(origin, sample) + draft] = binAt(table, origin, draft + 1, quantile);
        }
      }
    }
  }

  bin(origin: number, sample: number, draft: number): number {
    return this.#bins[this.#at(origin, sample) + draft] ?? 0;
  }

  /** Drafts up to one that ends the text, it included; 0: none does. */
  end(origin: number, sample: number): number {
    return this.#ends[origin * NUM_SAMPLES + sample] ?? 0;
  }

  /**
   * Takes a block. What it is short of stays as the sample in its place had it, or, never seen, is taken to be like
   * what was: a hope, but one that is tested if it makes longer blocks look good.
   */
  add(origin: number, bins: Uint8Array, numDrafts: number, end: number): void {
    const seen = (this.#numSeen[origin] ?? 0) + 1;
    this.#numSeen[origin] = seen;
    if (seen > NUM_SAMPLES && seen % KEEP_EVERY !== 0) return;
    const sample = Math.floor(seen / (seen > NUM_SAMPLES ? KEEP_EVERY : 1)) % NUM_SAMPLES;
    // An end that an older, longer block had would stay for good where blocks are short, and keep them short.
    this.#ends[origin * NUM_SAMPLES + sample] = end;
    const length = Math.min(numDrafts, this.maxDrafts);
    const at = this.#at(origin, sample);
    const known = Math.max(length, this.#numKnown[origin * NUM_SAMPLES + sample] ?? 0);
    this.#numKnown[origin * NUM_SAMPLES + sample] = known;
    for (let draft = 0; draft < this.maxDrafts; draft++) {
      if (draft < length || draft >= known) this.#bins[at + draft] = bins[draft % length] ?? 0;
    }
  }

  #at(origin: number, sample: number): number {
    return (origin * NUM_SAMPLES + sample) * this.maxDrafts;
  }
}

/** The margin's bin at a quantile of those seen at that depth; of an unknown model, all bins alike. */
function binAt(table: AcceptanceTable, origin: number, depth: number, quantile: number): number {
  const weight = (bin: number): number => 0.5 + table.numObserved(acceptanceCell(origin, depth, bin));
  let total = 0;
  for (let bin = 0; bin < NUM_MARGIN_BINS; bin++) total += weight(bin);
  let below = 0;
  for (let bin = 0; bin < NUM_MARGIN_BINS; bin++) {
    below += weight(bin);
    if (below >= quantile * total) return bin;
  }
  return NUM_MARGIN_BINS - 1;
}
