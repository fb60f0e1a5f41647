import type { Active } from './active.ts';
import type { Turn } from './engine.ts';
import { numBlockRows } from './layout.ts';
import type { Planner, PlannerInput } from './planner/planner.ts';
import type { SequenceStatistics } from './planner/statistics.ts';
import { ar } from './plan.ts';
import type { Plan } from './plan.ts';
import type { Sequence } from './sequence.ts';

/** Chooses the plans of a pass and learns from what came of them. */
export interface PlanChooser {
  /** One plan for each sequence; `numOtherRows` are in the same pass beside theirs. */
  choose(sequences: readonly Active[], numOtherRows: number): Plan[];
  /** All turns of one run, in a cache of so many columns; a pass may have several. */
  observe(turns: readonly Turn[], capacity: number): void;
}

/** Only rules that need no measurements: 'auto' decodes plainly. */
export const FIXED_PLANS: PlanChooser = {
  choose: (sequences) =>
    sequences.map(({ rule, sequence }) => (rule.type === 'fixed' ? rule.next(sequence) : ar())),
  observe: () => undefined,
};

/** Plans those that leave it to the planner together, beside those whose plans are fixed. */
export class PlannedChooser implements PlanChooser {
  readonly #planner: Planner;
  readonly #maxPositions: number;
  readonly #statistics = new WeakMap<Sequence, SequenceStatistics>();
  /** Of the last run: attention reads all columns of a cache, used or not. */
  #capacity = 0;
  /** What the runs of the present pass gave so far, but those with prompts or with texts that go by other rules. */
  #pass = { numSequences: 0, numDecoded: 0, numTokens: 0, milliseconds: 0 };

  constructor(planner: Planner, maxPositions: number) {
    this.#planner = planner;
    this.#maxPositions = maxPositions;
  }

  choose(sequences: readonly Active[], numOtherRows: number): Plan[] {
    this.#judgeLastPass();
    this.#pass = { numSequences: sequences.length, numDecoded: 0, numTokens: 0, milliseconds: 0 };
    const inputs: PlannerInput[] = [];
    let numFixedRows = numOtherRows;
    const fixed = sequences.map(({ rule, sequence }) => {
      numFixedRows += sequence.numPendingTokens - 1;
      if (rule.type === 'auto') {
        inputs.push(this.#input(sequence, rule.maxDraftLength));
        return undefined;
      }
      const plan = rule.next(sequence);
      numFixedRows += numPlanRows(plan);
      return plan;
    });
    const numSequences = sequences.length - inputs.length;
    const planned = this.#planner.plan(inputs, { numRows: numFixedRows, numSequences });
    let next = 0;
    return fixed.map((plan) => plan ?? planned[next++] ?? ar());
  }

  observe(turns: readonly Turn[], capacity: number): void {
    this.#capacity = capacity;
    const [first] = turns;
    if (first === undefined) return;
    let numRows = 0;
    let numTokens = 0;
    for (const { active, result } of turns) {
      if (result instanceof Error) continue;
      numRows += result.numRows;
      numTokens += result.tokenIds.length;
      if (active.rule.type !== 'auto' || result.tokenIds.length === 0) continue;
      const { drafts, draftOrigin } = active.sequence;
      this.#statisticsOf(active.sequence).observe(result.tokenIds, drafts, draftOrigin);
    }
    const { milliseconds } = first;
    if (numRows === 0) return;
    const numSequences = turns.length;
    this.#planner.observe({ numRows, numSequences, numContextTokens: capacity, milliseconds });
    if (turns.some(({ isPrefill, active }) => isPrefill || active.rule.type !== 'auto')) return;
    this.#pass.numDecoded += numSequences;
    this.#pass.numTokens += numTokens;
    this.#pass.milliseconds += milliseconds;
  }

  #judgeLastPass(): void {
    const { numSequences, ...pass } = this.#pass;
    this.#planner.judge(numSequences, pass, this.#capacity);
  }

  #input(sequence: Sequence, maxDraftRows: number): PlannerInput {
    const { drafts, tokenIds, numRemainingTokens, options } = sequence;
    return {
      drafts,
      statistics: this.#statisticsOf(sequence),
      numRemainingTokens,
      numPositions: this.#maxPositions - (tokenIds.length - 1),
      numContextTokens: Math.max(this.#capacity, tokenIds.length),
      endTokenIds: options.stopTokenIds,
      maxDraftRows,
    };
  }

  #statisticsOf(sequence: Sequence): SequenceStatistics {
    const known = this.#statistics.get(sequence);
    if (known !== undefined) return known;
    const statistics = this.#planner.start();
    this.#statistics.set(sequence, statistics);
    return statistics;
  }
}

function numPlanRows({ numDraftRows, outcomes, numBlockTokens = 0 }: Plan): number {
  return outcomes.reduce((total, outcome) => total + numBlockRows(outcome), numDraftRows + numBlockTokens);
}
