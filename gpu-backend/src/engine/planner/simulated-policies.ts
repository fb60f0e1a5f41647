import { namedPlan } from './named-plans.ts';
import type { NamedPlan } from './named-plans.ts';
import type { Plan } from '../plan.ts';
import type { Planner } from './planner.ts';
import { END_TOKEN_ID } from './simulation.ts';
import type { SimulatedPolicy, SimulatedSequence } from './simulation.ts';
import type { SequenceStatistics } from './statistics.ts';

const END_TOKEN_IDS: ReadonlySet<number> = new Set([END_TOKEN_ID]);
const MANY_POSITIONS = 1e6;

export function namedPolicy(name: NamedPlan, draftLength: number): SimulatedPolicy {
  return {
    start: () => undefined,
    plan: (sequences) =>
      sequences.map(({ drafts, numRemainingTokens }) =>
        namedPlan(name, draftLength, { drafts, numRemainingTokens, numPositions: MANY_POSITIONS }),
      ),
    observe: () => undefined,
  };
}

/** The planner as the engine runs it. */
export class PlannerPolicy implements SimulatedPolicy {
  readonly planner: Planner;
  readonly #numContextTokens: number;
  readonly #statistics = new WeakMap<SimulatedSequence, SequenceStatistics>();

  constructor(planner: Planner, numContextTokens = 128) {
    this.planner = planner;
    this.#numContextTokens = numContextTokens;
  }

  start(sequence: SimulatedSequence): void {
    const statistics = this.planner.start();
    statistics.observe([], sequence.drafts, sequence.origin);
    this.#statistics.set(sequence, statistics);
  }

  plan(sequences: readonly SimulatedSequence[]): Plan[] {
    const inputs = sequences.map((sequence) => ({
      drafts: sequence.drafts,
      statistics: this.statisticsOf(sequence),
      numRemainingTokens: sequence.numRemainingTokens,
      numPositions: MANY_POSITIONS,
      numContextTokens: this.#numContextTokens,
      endTokenIds: END_TOKEN_IDS,
    }));
    return this.planner.plan(inputs);
  }

  observe(sequence: SimulatedSequence, decided: readonly number[]): void {
    this.statisticsOf(sequence).observe(decided, sequence.drafts, sequence.origin);
  }

  observeStep(numRows: number, numSequences: number, milliseconds: number): void {
    this.planner.observe({ numRows, numSequences, numContextTokens: this.#numContextTokens, milliseconds });
  }

  statisticsOf(sequence: SimulatedSequence): SequenceStatistics {
    return this.#statistics.get(sequence) ?? this.planner.start();
  }
}
