import { ORIGINS } from './acceptance-table.ts';
import { BLIND, CORRECTED, FULL } from './plan-choice.ts';
import type { PlanChoice } from './plan-choice.ts';
import type { SequenceOdds } from './sequence-odds.ts';

/** No drafts: what all other states are worth more than. */
export const NOTHING = 0;

/**
 * States in which a step may begin: no drafts, or so many of an origin. Only some counts have a state of their own;
 * others lie between two. Transitions are those of the plans that `add` was told of.
 */
export class DraftStates {
  readonly counts: readonly number[];
  readonly numStates: number;
  readonly #place: Float64Array; // [drafts]: where a count lies among `counts`, which 0 precedes
  readonly #transitions: Float64Array; // [state, state]
  #share: Float64Array; // [state]: how often steps begin there in the long run
  #spare: Float64Array;

  constructor(maxDrafts: number) {
    this.counts = countsOf(maxDrafts);
    this.numStates = numStates(maxDrafts);
    this.#place = Float64Array.from({ length: maxDrafts + 1 }, (_, count) => placeOf(count, this.counts));
    this.#transitions = new Float64Array(this.numStates ** 2);
    this.#share = new Float64Array(this.numStates);
    this.#share[NOTHING] = 1;
    this.#spare = new Float64Array(this.numStates);
  }

  state(origin: number, index: number): number {
    return 1 + origin * this.counts.length + index;
  }

  clear(): void {
    this.#transitions.fill(0);
  }

  /** The chosen plan leads from the state to others, as its outcomes have it; `weight` of the state's cases do. */
  add(state: number, choice: PlanChoice, odds: SequenceOdds, weight: number): void {
    const { survival } = odds;
    for (let accepted = 1; accepted < choice.numDraftRows; accepted++) {
      const rejected = weight * ((survival[accepted - 1] ?? 0) - (survival[accepted] ?? 0));
      const corrected = choice.corrected[accepted] ?? -1;
      const hits = corrected < 0 ? 0 : rejected * (odds.secondBest[accepted - 1] ?? 0);
      if (hits > 0) this.#goTo(state, CORRECTED, Math.max(1, corrected), hits);
      this.#goTo(state, BLIND, Math.max(0, (choice.blind[accepted] ?? -1) - 1), rejected - hits);
    }
    const depth = choice.numDraftRows;
    const reached = weight * (survival[depth - 1] ?? 0);
    if (odds.endsText && depth === odds.numDrafts) {
      // The text ends, and another begins, whose prompt's pass drafts in full; or the end is rejected.
      const ended = weight * (survival[depth] ?? 0);
      this.#goTo(state, FULL, this.#place.length - 1, ended);
      return this.#goTo(state, FULL, Math.max(0, choice.fullMasks - 1), reached - ended);
    }
    this.#goTo(state, FULL, Math.max(0, choice.fullMasks - 1), reached);
  }

  /** The mean of a value of states over the long run. Call `settle` first. */
  mean(values: Float64Array): number {
    let sum = 0;
    for (let state = 0; state < this.numStates; state++)
      sum += (this.#share[state] ?? 0) * (values[state] ?? 0);
    return sum;
  }

  /** Finds how often steps begin in each state. Half of each step stays, since two-pass plans go round in turns. */
  settle(numRounds: number): void {
    const { numStates } = this;
    for (let round = 0; round < numRounds; round++) {
      const [share, after] = [this.#share, this.#spare];
      after.fill(0);
      for (let from = 0; from < numStates; from++) {
        const half = (share[from] ?? 0) / 2;
        if (half === 0) continue;
        after[from] = (after[from] ?? 0) + half;
        for (let to = 0; to < numStates; to++)
          after[to] = (after[to] ?? 0) + half * (this.#transitions[from * numStates + to] ?? 0);
      }
      this.#share = after;
      this.#spare = share;
    }
  }

  /** Writes the states' values to the table of all counts: no more drafts are ever worth less. */
  spread(ofStates: Float64Array, table: Float64Array, maxDrafts: number): void {
    for (let origin = 0; origin < ORIGINS.length; origin++) {
      let most = 0;
      for (let count = 1; count <= maxDrafts; count++) {
        const place = this.#place[count] ?? 0;
        const lower = Math.floor(place);
        const below = lower === 0 ? 0 : (ofStates[this.state(origin, lower - 1)] ?? 0);
        const above = lower === place ? below : (ofStates[this.state(origin, lower)] ?? 0);
        most = Math.max(most, below + (place - lower) * (above - below));
        table[origin * (maxDrafts + 1) + count] = most;
      }
    }
  }

  #goTo(from: number, origin: number, count: number, weight: number): void {
    const place = this.#place[count] ?? 0;
    const lower = Math.floor(place);
    this.#addTransition(
      from,
      lower === 0 ? NOTHING : this.state(origin, lower - 1),
      weight * (1 + lower - place),
    );
    if (place > lower) this.#addTransition(from, this.state(origin, lower), weight * (place - lower));
  }

  #addTransition(from: number, to: number, weight: number): void {
    const at = from * this.numStates + to;
    this.#transitions[at] = (this.#transitions[at] ?? 0) + weight;
  }
}

function countsOf(maxDrafts: number): number[] {
  return [...[1, 2, 3, 5, 7, 11, 16, 24, 32, 48].filter((count) => count < maxDrafts), maxDrafts];
}

export function numStates(maxDrafts: number): number {
  return 1 + ORIGINS.length * countsOf(maxDrafts).length;
}

function placeOf(count: number, counts: readonly number[]): number {
  const all = [0, ...counts];
  let upper = 1;
  while (upper < all.length - 1 && (all[upper] ?? 0) < count) upper++;
  const [x0 = 0, x1 = 1] = [all[upper - 1], all[upper]];
  return upper - 1 + (count - x0) / (x1 - x0);
}
