import type { Draft } from '../sequence.ts';
import type { Outcome, Plan } from '../plan.ts';
import { DraftValues, SequenceOdds } from './sequence-odds.ts';

export const FULL = 0;
export const BLIND = 1;
export const CORRECTED = 2;
const NO_BLOCK = -1;

export interface ChoiceLimits {
  readonly maxDraftRows: number;
  readonly maxMaskTokens: number;
  readonly numRemainingTokens: number;
}

const NO_LIMITS: ChoiceLimits = { maxDraftRows: 1, maxMaskTokens: 0, numRemainingTokens: 1 };

/**
 * A sequence's best plan at a price per row. Outcomes are independent once a row has a price: each has the block that
 * pays best, if any pays; what remains is where to stop verifying. Nothing is allocated.
 */
export class PlanChoice {
  numDraftRows = 1;
  numRows = 1;
  /** Tokens decided now, and what the next step's drafts are worth. Rows are not paid yet. */
  value = 1;
  readonly corrected: Int16Array; // [accepted]: masks of the block, -1: none
  readonly blind: Int16Array; // [accepted]
  fullMasks = NO_BLOCK;
  #odds = new SequenceOdds(0);
  #next = new DraftValues(0);
  #limits = NO_LIMITS;
  #maxDraftRows = 1;
  #masks = NO_BLOCK;
  #rejectionRows = 0;

  constructor(maxDraftRows: number) {
    this.corrected = new Int16Array(maxDraftRows + 1);
    this.blind = new Int16Array(maxDraftRows + 1);
  }

  /** The step that is to be planned. All three are read by `choose` and not copied. */
  prepare(odds: SequenceOdds, next: DraftValues, limits: ChoiceLimits): void {
    this.#odds = odds;
    this.#next = next;
    this.#limits = limits;
    const numRowsToVerify = odds.numDrafts + (odds.endsText ? 0 : 1);
    this.#maxDraftRows = Math.min(limits.maxDraftRows, limits.numRemainingTokens, numRowsToVerify);
  }

  choose(price: number): void {
    const { survival } = this.#odds;
    let best = -Infinity;
    let soFar = 0;
    let numRows = 0;
    for (let depth = 1; depth <= this.#maxDraftRows; depth++) {
      if (depth > 1) {
        soFar += this.#chooseRejection(price, depth - 1);
        numRows += this.#rejectionRows;
      }
      soFar += (survival[depth - 1] ?? 0) - price;
      numRows += 1;
      const end = this.#chooseEnd(price, depth);
      if (soFar + end <= best) continue;
      best = soFar + end;
      this.numDraftRows = depth;
      this.fullMasks = this.#masks;
      this.numRows = numRows + Math.max(0, this.#masks);
    }
    this.value = best + price * this.numRows;
  }

  /** The plan that was chosen last, with the corrections that the drafts name. */
  toPlan(drafts: readonly Draft[]): Plan {
    const outcomes: Outcome[] = [];
    for (let accepted = 1; accepted < this.numDraftRows; accepted++) {
      const correction = drafts[accepted - 1]?.secondBest ?? -1;
      const corrected = this.corrected[accepted] ?? NO_BLOCK;
      const blind = this.blind[accepted] ?? NO_BLOCK;
      if (corrected >= 0 && correction >= 0)
        outcomes.push({ accepted, correction, numMaskTokens: corrected });
      if (blind > 0) outcomes.push({ accepted, numMaskTokens: blind });
    }
    if (this.fullMasks > 0) outcomes.push({ accepted: this.numDraftRows, numMaskTokens: this.fullMasks });
    return { numDraftRows: this.numDraftRows, outcomes };
  }

  /** After the last draft row. Where the drafts say that the text ends, a block is for the case that it doesn't. */
  #chooseEnd(price: number, depth: number): number {
    const { endsText, numDrafts, survival } = this.#odds;
    const ended = endsText ? (survival[numDrafts] ?? 0) : 0;
    const origin = endsText && depth === numDrafts ? BLIND : FULL;
    return this.#bestBlind(origin, (survival[depth - 1] ?? 0) - ended, price, this.#maxMasks(depth));
  }

  /** What to have ready for "draft `accepted` is rejected": a correction's block, a blind one, both or neither. */
  #chooseRejection(price: number, accepted: number): number {
    const odds = this.#odds;
    const weight = (odds.survival[accepted - 1] ?? 0) - (odds.survival[accepted] ?? 0);
    const secondBest = odds.secondBest[accepted - 1] ?? 0;
    const most = this.#maxMasks(accepted);
    const blindOnly = this.#bestBlind(BLIND, weight, price, most);
    const blindOnlyMasks = this.#masks;
    const corrected = this.#bestCorrected(weight * secondBest, price, most - 1);
    const correctedMasks = this.#masks;
    let both = 0;
    if (corrected > 0) both = corrected + this.#bestBlind(BLIND, weight * (1 - secondBest), price, most);
    const isCorrected = both > blindOnly;
    const blindMasks = isCorrected ? this.#masks : blindOnlyMasks;
    this.corrected[accepted] = isCorrected ? correctedMasks : NO_BLOCK;
    this.blind[accepted] = blindMasks;
    this.#rejectionRows = (isCorrected ? correctedMasks + 1 : 0) + Math.max(0, blindMasks);
    return Math.max(both, blindOnly);
  }

  /** n masks give n - 1 drafts. Returns what the block is worth beyond its rows' price, 0 for no block. */
  #bestBlind(origin: number, weight: number, price: number, maxMaskTokens: number): number {
    this.#masks = NO_BLOCK;
    const { values, maxDrafts } = this.#next;
    const first = origin * (maxDrafts + 1) - 1;
    if (weight * (values[first + maxDrafts + 1] ?? 0) <= 2 * price) return 0;
    let best = 0;
    for (let masks = 2; masks <= maxMaskTokens; masks++) {
      const gain = weight * (values[first + masks] ?? 0) - price * masks;
      if (gain <= best) continue;
      best = gain;
      this.#masks = masks;
    }
    return best;
  }

  /** The correction's own row gives a draft and n masks n - 1 more. */
  #bestCorrected(weight: number, price: number, maxMaskTokens: number): number {
    this.#masks = NO_BLOCK;
    const { values, maxDrafts } = this.#next;
    const first = CORRECTED * (maxDrafts + 1);
    if (weight * (values[first + maxDrafts] ?? 0) <= price || maxMaskTokens < 0) return 0;
    let best = 0;
    for (let masks = 0; masks <= maxMaskTokens; masks++) {
      if (masks === 1) continue; // the row has that draft already
      const gain = weight * (values[first + Math.max(1, masks)] ?? 0) - price * (masks + 1);
      if (gain <= best) continue;
      best = gain;
      this.#masks = masks;
    }
    return best;
  }

  /** As many as the next step could verify, if it decided the rest of the text. */
  #maxMasks(accepted: number): number {
    return Math.min(this.#limits.maxMaskTokens, this.#limits.numRemainingTokens - accepted);
  }
}
