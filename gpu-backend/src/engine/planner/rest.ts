import type { Plan } from '../plan.ts';
import type { PlannerInput } from './planner.ts';
import type { SequenceStatistics } from './statistics.ts';

/** Steps that are decoded plainly before it is asked again whether drafts pay. */
const NUM_STEPS = 12;

/**
 * Where nobody drafts, asking at every step whether to draft costs more than it can tell. So when all were asked and
 * nobody drafts, they rest for some steps. Only who joins meanwhile is asked, and whoever has drafts; as soon as one
 * drafts, all are awake.
 */
export class Rest {
  #numStepsLeft = 0;
  readonly #resting = new Set<SequenceStatistics>();

  /** Those that must be asked in this step; the others are decoded plainly. */
  awake(inputs: readonly PlannerInput[]): readonly PlannerInput[] {
    if (this.#numStepsLeft === 0) return inputs;
    this.#numStepsLeft -= 1;
    return inputs.filter(({ drafts, statistics }) => drafts.length > 0 || !this.#resting.has(statistics));
  }

  /** What those that were asked do now, of so many texts in all. */
  after(asked: readonly PlannerInput[], plans: readonly Plan[], numTexts: number): void {
    const arePlain = plans.every((plan) => plan.numDraftRows === 1 && plan.outcomes.length === 0);
    if (asked.length === numTexts || !arePlain) {
      this.#resting.clear();
      this.#numStepsLeft = arePlain ? NUM_STEPS : 0;
    }
    if (arePlain) for (const { statistics } of asked) this.#resting.add(statistics);
  }
}
