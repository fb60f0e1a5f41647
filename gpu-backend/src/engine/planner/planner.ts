import type { Draft } from '../sequence.ts';
import { ar, fitPlan } from '../plan.ts';
import type { Plan } from '../plan.ts';
import { AcceptanceTable } from './acceptance-table.ts';
import { BlockSamples } from './block-samples.ts';
import { Explorer } from './explorer.ts';
import { Guard } from './guard.ts';
import type { DecodedPass } from './guard.ts';
import type { LatencyModel, LatencyPoint } from './latency.ts';
import { PlanChoice } from './plan-choice.ts';
import { DraftValues, SequenceOdds } from './sequence-odds.ts';
import { SequenceStatistics } from './statistics.ts';
import { Rest } from './rest.ts';
import { ValueSolver } from './value-solver.ts';
import { ValueTables } from './value-tables.ts';

export interface PlannerOptions {
  /** The most draft rows of a sequence, and the most masks of a block. */
  readonly maxDraftRows: number;
  /** What is known of the model's drafts; the planner goes on learning into it. */
  readonly acceptance?: AcceptanceTable;
}

/** A sequence that takes part in the next step. */
export interface PlannerInput {
  readonly drafts: readonly Draft[];
  readonly statistics: SequenceStatistics;
  readonly numRemainingTokens: number;
  /** From draft row 1's to the end of the model's context. */
  readonly numPositions: number;
  readonly numContextTokens: number;
  /** Tokens that end the text: no draft after one of them is of use. */
  readonly endTokenIds: ReadonlySet<number>;
  /** The most draft rows and masks that the request wants; absent: the planner's own. */
  readonly maxDraftRows?: number;
}

/** What else is in the step: prefill chunks, and sequences whose plans are fixed. */
export interface FixedRows {
  readonly numRows: number;
  readonly numSequences: number;
}

const NOTHING_ELSE: FixedRows = { numRows: 0, numSequences: 0 };
/** Prices of a row that are tried: from almost nothing to more than a row can be worth. */
const NUM_PRICES = 16;
const LEAST_PRICE = 0.002; // of what a sequence pays for a plain step
const MOST_PRICE = 2;
/** Nobody buys anything. */
const NEVER = 64;
/** A price between the best and its neighbours may be better still. */
const NUM_REFINEMENTS = 2;
/** Of the price, for sequences that take what is left. */
const DISCOUNTS = [0.6, 0.3, 0.1, 0.02];
const MIN_ROWS = 2;
/** From so many texts on each one's rows are dear to the others, and plans are held to what they gave. */
const GUARDED_SEQUENCES = 3;
/** From so many texts on fewer prices are tried: each takes longer, and their sum is smoother. */
const MANY_SEQUENCES = 6;
const FEWER_PRICES = 10;

interface Member {
  readonly odds: SequenceOdds;
  readonly next: DraftValues;
  readonly choice: PlanChoice;
}

/**
 * Chooses the plans of a step that promise the most tokens per second for the whole batch, now and in later steps: a
 * row has a price, each sequence buys what pays at that price, and the price is the one at which what all of them buy
 * is worth most less the time that it takes.
 */
export class Planner {
  readonly acceptance: AcceptanceTable;
  readonly latency: LatencyModel;
  readonly #options: PlannerOptions;
  readonly #samples: BlockSamples;
  readonly #values: ValueTables;
  readonly #explorer: Explorer;
  readonly #rest = new Rest();
  readonly #guard = new Guard();
  readonly #members: Member[] = [];
  #rate = 0;
  #turn = 0;
  #numRows = 0;

  constructor(latency: LatencyModel, options: PlannerOptions) {
    const { maxDraftRows, acceptance = new AcceptanceTable() } = options;
    this.latency = latency;
    this.acceptance = acceptance;
    this.#options = options;
    this.#samples = new BlockSamples(acceptance, maxDraftRows);
    this.#values = new ValueTables(
      latency,
      new ValueSolver(acceptance, this.#samples, maxDraftRows),
      maxDraftRows,
    );
    this.#explorer = new Explorer();
  }

  /** Statistics for a sequence that begins. */
  start(): SequenceStatistics {
    return new SequenceStatistics(this.acceptance, this.#samples);
  }

  /** Tokens per millisecond that the last plans promised for the long run. */
  get rate(): number {
    return this.#rate;
  }

  /** One plan for each input. */
  plan(inputs: readonly PlannerInput[], fixed: FixedRows = NOTHING_ELSE): Plan[] {
    if (inputs.length === 0) return [];
    const numSequences = inputs.length + fixed.numSequences;
    if (numSequences >= GUARDED_SEQUENCES && this.#guard.isClosed(numSequences))
      return inputs.map(() => ar());
    const asked = this.#rest.awake(inputs);
    const numResting = inputs.length - asked.length;
    const numContextTokens = inputs.reduce((most, input) => Math.max(most, input.numContextTokens), 0);
    const milliseconds = (numRows: number): number =>
      this.latency.milliseconds(
        Math.max(MIN_ROWS, numRows + numResting + fixed.numRows),
        numSequences,
        numContextTokens,
      );
    this.#numRows = 0;
    const planned =
      asked.length === 0 ? [] : this.#planAll(asked, numSequences, numContextTokens, milliseconds);
    this.#rest.after(asked, planned, inputs.length);
    const plans = numResting === 0 ? planned : spread(planned, asked, inputs);
    return this.#explorer.explore(plans, inputs, { numRows: this.#numRows, milliseconds });
  }

  #planAll(
    inputs: readonly PlannerInput[],
    numSequences: number,
    numContextTokens: number,
    milliseconds: (numRows: number) => number,
  ): Plan[] {
    this.#values.refresh(numSequences, numContextTokens);
    this.#prepare(inputs, numSequences, numContextTokens);
    const price = this.#bestPrice(inputs.length, milliseconds);
    this.#chooseAt(inputs.length, price);
    this.#fill(inputs.length, price, milliseconds);
    return inputs.map((input, at) => fit(this.#member(at).choice.toPlan(input.drafts), input));
  }

  /** What a run took. Statistics are told by the sequences themselves. */
  observe(run: LatencyPoint): void {
    this.latency.observe(run);
  }

  /** What a pass of so many texts gave in all its runs, `numDecoded` of them without a prompt. */
  judge(numSequences: number, pass: Omit<DecodedPass, 'plainMilliseconds'>, numContextTokens: number): void {
    const { numDecoded } = pass;
    if (numSequences < GUARDED_SEQUENCES || numDecoded === 0) return;
    const numRows = Math.max(MIN_ROWS, numDecoded);
    const plainMilliseconds = this.latency.milliseconds(numRows, numDecoded, numContextTokens);
    this.#guard.observe(numSequences, { ...pass, plainMilliseconds });
  }

  #prepare(inputs: readonly PlannerInput[], numSequences: number, numContextTokens: number): void {
    let rates = 0;
    inputs.forEach((input, at) => {
      const { odds, next, choice } = this.#member(at);
      odds.fill(input.drafts, input.statistics, input.endTokenIds);
      input.statistics.sample(odds.endsText ? odds.numDrafts : 0);
      rates += this.#values.read(numSequences, numContextTokens, input.statistics.shift, next);
      choice.prepare(odds, next, this.#limits(input));
    });
    this.#rate = rates / inputs.length;
  }

  #bestPrice(numSequences: number, milliseconds: (numRows: number) => number): number {
    const rate = this.#rate;
    const unit = (rate * milliseconds(numSequences)) / numSequences;
    const score = (price: number): number =>
      this.#chooseAt(numSequences, price) - rate * milliseconds(this.#numRows);
    let best = NEVER * unit;
    let bestScore = score(best);
    const numPrices = numSequences < MANY_SEQUENCES ? NUM_PRICES : FEWER_PRICES;
    const factor = (MOST_PRICE / LEAST_PRICE) ** (1 / (numPrices - 1));
    const offer = (price: number): void => {
      const offered = score(price);
      if (offered <= bestScore) return;
      bestScore = offered;
      best = price;
    };
    for (let at = 0; at < numPrices; at++) offer(unit * LEAST_PRICE * factor ** at);
    if (best === NEVER * unit) return best;
    for (let at = 1; at <= NUM_REFINEMENTS; at++) {
      const middle = best;
      const step = factor ** (0.5 ** at);
      offer(middle * step);
      offer(middle / step);
    }
    return best;
  }

  /** What all sequences buy at a price, in tokens; their rows are left in `#numRows`. */
  #chooseAt(numSequences: number, price: number): number {
    let value = 0;
    this.#numRows = 0;
    for (let at = 0; at < numSequences; at++) {
      const { choice } = this.#member(at);
      choice.choose(price);
      value += choice.value;
      this.#numRows += choice.numRows;
    }
    return value;
  }

  /**
   * Sequences that are alike buy alike, all of them or none, which may leave rows that are free to nobody: so some, in
   * turns, buy at a lower price, as many as it pays for.
   */
  #fill(numSequences: number, price: number, milliseconds: (numRows: number) => number): void {
    if (numSequences === 1) return;
    const rate = this.#rate;
    const numRowsBefore = this.#numRows;
    const first = this.#turn++ % numSequences;
    let bestGain = 0;
    let bestPrice = price;
    let bestCount = 0;
    for (const discount of DISCOUNTS) {
      let gain = 0;
      let numRows = numRowsBefore;
      for (let count = 1; count < numSequences; count++) {
        const { choice } = this.#member((first + count - 1) % numSequences);
        choice.choose(price);
        const { value, numRows: rows } = choice;
        choice.choose(price * discount);
        gain += choice.value - value;
        numRows += choice.numRows - rows;
        const net = gain - rate * (milliseconds(numRows) - milliseconds(numRowsBefore));
        if (net <= bestGain) continue;
        bestGain = net;
        bestPrice = price * discount;
        bestCount = count;
      }
    }
    this.#numRows = 0;
    for (let turn = 0; turn < numSequences; turn++) {
      const { choice } = this.#member((first + turn) % numSequences);
      choice.choose(turn < bestCount ? bestPrice : price);
      this.#numRows += choice.numRows;
    }
  }

  #limits(input: PlannerInput): { maxDraftRows: number; maxMaskTokens: number; numRemainingTokens: number } {
    const maxDraftRows = Math.min(
      this.#options.maxDraftRows,
      input.maxDraftRows ?? this.#options.maxDraftRows,
    );
    const { numRemainingTokens, numPositions } = input;
    return { maxDraftRows, maxMaskTokens: Math.min(maxDraftRows, numPositions - 1), numRemainingTokens };
  }

  #member(at: number): Member {
    const { maxDraftRows } = this.#options;
    return (this.#members[at] ??= {
      odds: new SequenceOdds(maxDraftRows),
      next: new DraftValues(maxDraftRows),
      choice: new PlanChoice(maxDraftRows),
    });
  }
}

function fit(plan: Plan, { drafts, numRemainingTokens, numPositions }: PlannerInput): Plan {
  return fitPlan(plan, { numDraftRows: 1 + drafts.length, numRemainingTokens, numPositions });
}

/** The plans of those that were asked in their places, and plain ones in the others'. */
function spread(
  plans: readonly Plan[],
  asked: readonly PlannerInput[],
  inputs: readonly PlannerInput[],
): Plan[] {
  let next = 0;
  return inputs.map((input) => (input === asked[next] ? plans[next++] : undefined) ?? ar());
}
