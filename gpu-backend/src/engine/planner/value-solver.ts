import { ORIGINS } from './acceptance-table.ts';
import type { AcceptanceTable } from './acceptance-table.ts';
import { NUM_SAMPLES } from './block-samples.ts';
import type { BlockSamples } from './block-samples.ts';
import { DraftStates, NOTHING, numStates } from './draft-states.ts';
import { PlanChoice } from './plan-choice.ts';
import type { ChoiceLimits } from './plan-choice.ts';
import { DraftValues, SequenceOdds } from './sequence-odds.ts';

/** What drafts are worth to a batch of sequences whose acceptance is alike. */
export class Solution {
  readonly next: DraftValues;
  /** Tokens per millisecond of the whole batch in the long run. */
  rate: number;
  /** Rows that each of the other sequences is taken to have: they say what a row more costs. */
  othersRows = 1;
  numSweeps = 0;
  /** Index of the price that was best for a case of a state: the next sweep looks near it. */
  readonly prices: Uint8Array; // [state, sample]

  constructor(maxDrafts: number, rate: number) {
    this.prices = new Uint8Array(numStates(maxDrafts) * NUM_SAMPLES);
    this.next = new DraftValues(maxDrafts);
    this.rate = rate;
  }

  copy(from: Solution): void {
    this.next.mix(from.next, from.next, 0);
    this.rate = from.rate;
    this.othersRows = from.othersRows;
    this.prices.set(from.prices);
  }
}

export interface Surroundings {
  readonly numSequences: number;
  /** Of this text's log-odds of acceptance. */
  readonly shift: number;
  /** Of a step, by all its rows. */
  readonly milliseconds: (numRows: number) => number;
}

/** Prices of a row that are tried, in what a sequence pays for a plain step; the last buys nothing. */
const PRICES = [0.003, 0.01, 0.03, 0.06, 0.12, 0.25, 0.6, 64];
const UNLIMITED_TOKENS = 1e6;
const SETTLE_ROUNDS = 12;
/** The first sweeps, and some later ones, try all prices. */
const FULL_SWEEPS = 6;
const FULL_SWEEP_EVERY = 5;
/** A plain share of the way: two-pass plans go round in turns, and values would with them. */
const STEP = 0.6;

/**
 * Value iteration for decoding as an average-reward decision: a step earns the tokens that it decides, costs its time
 * at the long-run rate, and leads to drafts that are worth something. One call is one sweep over all states.
 */
export class ValueSolver {
  readonly #table: AcceptanceTable;
  readonly #samples: BlockSamples;
  readonly #limits: ChoiceLimits;
  readonly #states: DraftStates;
  readonly #odds: SequenceOdds;
  readonly #choice: PlanChoice;
  readonly #scores: Float64Array; // [state]: tokens less the time they take
  readonly #values: Float64Array; // [state]
  readonly #tokens: Float64Array; // [state]
  readonly #times: Float64Array; // [state]: milliseconds
  readonly #rows: Float64Array; // [state]
  /** Of steps with so many rows of one sequence, the others' beside; NaN: not asked for yet. */
  readonly #stepMs: Float64Array; // [rows]

  constructor(table: AcceptanceTable, samples: BlockSamples, maxDraftRows: number) {
    this.#table = table;
    this.#samples = samples;
    this.#limits = { maxDraftRows, maxMaskTokens: maxDraftRows, numRemainingTokens: UNLIMITED_TOKENS };
    this.#states = new DraftStates(samples.maxDrafts);
    this.#odds = new SequenceOdds(samples.maxDrafts);
    this.#choice = new PlanChoice(maxDraftRows);
    const column = (): Float64Array => new Float64Array(this.#states.numStates);
    this.#scores = column();
    this.#values = column();
    this.#tokens = column();
    this.#times = column();
    this.#rows = column();
    this.#stepMs = new Float64Array(2 * (maxDraftRows + 1) * (maxDraftRows + 1));
  }

  sweep(solution: Solution, around: Surroundings): void {
    const states = this.#states;
    for (const column of [this.#scores, this.#tokens, this.#times, this.#rows]) column.fill(0);
    states.clear();
    this.#stepMs.fill(NaN);
    this.#odds.numDrafts = 0;
    this.#odds.endsText = false;
    solution.numSweeps += 1;
    this.#visit(NOTHING, 0, solution, around);
    for (let origin = 0; origin < ORIGINS.length; origin++) this.#visitOrigin(origin, solution, around);
    this.#improve(solution, around);
  }

  #visitOrigin(origin: number, solution: Solution, around: Surroundings): void {
    const odds = this.#odds;
    for (let sample = 0; sample < NUM_SAMPLES; sample++) {
      odds.fillSample(this.#table, this.#samples, { origin, sample, shift: around.shift });
      const end = this.#samples.end(origin, sample);
      this.#states.counts.forEach((count, index) => {
        odds.endsText = end > 0 && end <= count;
        odds.numDrafts = odds.endsText ? end : count;
        this.#visit(this.#states.state(origin, index), sample, solution, around);
      });
    }
  }

  /** One case of a state: its best plan counts for a share of the state. */
  #visit(state: number, sample: number, solution: Solution, around: Surroundings): void {
    const { next, rate } = solution;
    const choice = this.#choice;
    const unit = rate * around.milliseconds(around.numSequences);
    choice.prepare(this.#odds, next, this.#limits);
    const { numSweeps, prices } = solution;
    const isFull = numSweeps < FULL_SWEEPS || numSweeps % FULL_SWEEP_EVERY === 0;
    const at = state * NUM_SAMPLES + sample;
    const near = prices[at] ?? 0;
    const from = isFull ? 0 : Math.max(0, near - 1);
    const to = isFull ? PRICES.length - 1 : Math.min(PRICES.length - 1, near + 1);
    let best = -Infinity;
    for (let index = from; index <= to; index++) {
      choice.choose(((PRICES[index] ?? 0) * unit) / around.numSequences);
      const score = choice.value - rate * this.#milliseconds(choice.numRows, solution, around);
      if (score <= best) continue;
      best = score;
      prices[at] = index;
    }
    choice.choose(((PRICES[prices[at] ?? 0] ?? 0) * unit) / around.numSequences);
    const weight = state === NOTHING ? 1 : 1 / NUM_SAMPLES;
    this.#states.add(state, choice, this.#odds, weight);
    let tokens = 0;
    for (let at = 0; at < choice.numDraftRows; at++) tokens += this.#odds.survival[at] ?? 0;
    add(this.#scores, state, weight * best);
    add(this.#tokens, state, weight * tokens);
    add(this.#rows, state, weight * choice.numRows);
    add(this.#times, state, weight * this.#milliseconds(choice.numRows, solution, around));
  }

  #milliseconds(numRows: number, solution: Solution, around: Surroundings): number {
    const known = this.#stepMs[numRows] ?? NaN;
    if (!Number.isNaN(known)) return known;
    const milliseconds = around.milliseconds((around.numSequences - 1) * solution.othersRows + numRows);
    this.#stepMs[numRows] = milliseconds;
    return milliseconds;
  }

  #improve(solution: Solution, around: Surroundings): void {
    const states = this.#states;
    const { next } = solution;
    const nothing = this.#scores[NOTHING] ?? 0;
    for (let state = 0; state < states.numStates; state++)
      this.#values[state] = (this.#scores[state] ?? 0) - nothing;
    const before = next.values.slice();
    states.spread(this.#values, next.values, next.maxDrafts);
    for (let at = 0; at < before.length; at++)
      next.values[at] = (before[at] ?? 0) + STEP * ((next.values[at] ?? 0) - (before[at] ?? 0));
    states.settle(SETTLE_ROUNDS);
    const { numSequences } = around;
    const stepMs =
      numSequences === 1
        ? states.mean(this.#times)
        : around.milliseconds(numSequences * states.mean(this.#rows));
    solution.rate += STEP * ((numSequences * states.mean(this.#tokens)) / stepMs - solution.rate);
  }
}

function add(column: Float64Array, at: number, value: number): void {
  column[at] = (column[at] ?? 0) + value;
}
