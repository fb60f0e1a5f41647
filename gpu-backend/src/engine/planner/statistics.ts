import type { Draft, DraftOrigin } from '../sequence.ts';
import { acceptanceCell, marginBin, ORIGINS } from './acceptance-table.ts';
import type { AcceptanceTable } from './acceptance-table.ts';
import type { BlockSamples } from './block-samples.ts';

/** Texts differ from the table by about this much, in log-odds: a few rejections outweigh a table that is sure. */
const INITIAL_VARIANCE = 2;
/** A text may change its ways: old observations fade. */
const DRIFT = 0.02;
const MAX_VARIANCE = 4;
const MIN_SHIFT = -11;
const MAX_SHIFT = 3;

/**
 * How a sequence's drafts fare, from its own text: a shift of the table's log-odds, a logistic regression on one
 * number that is followed like a Kalman filter. Drafts are compared with the text as it is decided, also those that
 * no row verified, so that looking again costs only masks.
 */
export class SequenceStatistics {
  readonly #table: AcceptanceTable;
  readonly #samples: BlockSamples;
  readonly #bins: Uint8Array;
  #isSampled = true;
  #tracked: readonly Draft[] = [];
  #origin = 0;
  /** Drafts of the block that are text by now. */
  #numPassed = 0;
  #shift = 0;
  #variance = INITIAL_VARIANCE;

  constructor(table: AcceptanceTable, samples: BlockSamples) {
    this.#table = table;
    this.#samples = samples;
    this.#bins = new Uint8Array(samples.maxDrafts);
  }

  /** By how much this text's log-odds of acceptance differ from the table's. */
  get shift(): number {
    return this.#shift;
  }

  get origin(): number {
    return this.#origin;
  }

  /** Whether drafts are waiting to be compared with the text: there is no need for others. */
  get isTracking(): boolean {
    return this.#numPassed < this.#tracked.length;
  }

  /** After a step: the tokens that it decided, the drafts for the next one, and what those came from. */
  observe(decided: readonly number[], drafts: readonly Draft[], origin: DraftOrigin): void {
    const hasAgreed = this.#compare(decided);
    const [first] = drafts;
    const isCarried = first !== undefined && first === this.#tracked[this.#numPassed];
    if (isCarried || (first === undefined && hasAgreed)) return;
    this.#track(drafts, ORIGINS.indexOf(origin));
  }

  /** Log-odds that the draft is accepted once all before it are; `index` counts from the next draft. */
  logOdds(margin: number, index: number): number {
    const cell = acceptanceCell(this.#origin, this.#numPassed + index + 1, marginBin(margin));
    return this.#table.logOdds(cell) + this.#shift;
  }

  secondBest(margin: number): number {
    return this.#table.secondBest(marginBin(margin));
  }

  /** Keeps the margins of a new block, whose draft `end` (from 1) ends the text (0: none does), for the values. */
  sample(end: number): void {
    if (this.#isSampled) return;
    this.#isSampled = true;
    const drafts = this.#tracked;
    const numDrafts = Math.min(drafts.length, this.#bins.length);
    for (let at = 0; at < numDrafts; at++) this.#bins[at] = marginBin(drafts[at]?.margin ?? 0);
    this.#samples.add(this.#origin, this.#bins, numDrafts, end);
  }

  /** Whether all tracked drafts that the tokens reach agreed with them. */
  #compare(decided: readonly number[]): boolean {
    for (const tokenId of decided) {
      const draft = this.#tracked[this.#numPassed];
      if (draft === undefined) return false;
      const isAccepted = draft.tokenId === tokenId;
      this.#learn(draft, isAccepted);
      if (!isAccepted) {
        this.#table.observeSecondBest(marginBin(draft.margin), draft.secondBest === tokenId);
        return false;
      }
      this.#numPassed += 1;
    }
    return true;
  }

  #learn(draft: Draft, isAccepted: boolean): void {
    const probability = sigmoid(this.logOdds(draft.margin, 0));
    const variance = Math.min(MAX_VARIANCE, this.#variance + DRIFT);
    const information = probability * (1 - probability);
    const gain = variance / (1 + variance * information);
    const shift = this.#shift + gain * ((isAccepted ? 1 : 0) - probability);
    this.#shift = Math.min(MAX_SHIFT, Math.max(MIN_SHIFT, shift));
    this.#variance = gain;
    const cell = acceptanceCell(this.#origin, this.#numPassed + 1, marginBin(draft.margin));
    this.#table.observeDraft(cell, isAccepted);
  }

  #track(drafts: readonly Draft[], origin: number): void {
    this.#tracked = drafts;
    this.#origin = Math.max(0, origin);
    this.#numPassed = 0;
    this.#isSampled = drafts.length === 0;
  }
}

export function sigmoid(x: number): number {
  return 1 / (1 + Math.exp(-x));
}
