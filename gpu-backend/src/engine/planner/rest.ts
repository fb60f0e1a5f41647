import type { Plan } from '../plan.ts';
import type { PlannerInput } from './planner.ts';
import type { SequenceStatistics } from './statistics.ts';

/** Steps that are decoded plainly before it is asked again whether drafts pay. */
const NUM_STEPS = 12;

/**
 * Where nobody drafts, asking at every step whether to draft costs more than it can tell: the same texts, with nothing
 * drafted since, get the same answer for some steps.
 */
export class Rest {
  #numStepsLeft = 0;
  readonly #statistics: SequenceStatistics[] = [];

  /** Whether these may be decoded plainly without being asked. */
  takes(inputs: readonly PlannerInput[]): boolean {
    if (this.#numStepsLeft === 0) return false;
    this.#numStepsLeft -= 1;
    const areKnown = inputs.every(
      ({ drafts, statistics }, at) => drafts.length === 0 && statistics === this.#statistics[at],
    );
    if (!areKnown || inputs.length !== this.#statistics.length) this.#numStepsLeft = 0;
    return areKnown && inputs.length === this.#statistics.length;
  }

  /** What was planned with all of it considered. */
  after(plans: readonly Plan[], inputs: readonly PlannerInput[]): void {
    this.#statistics.length = 0;
    const arePlain = plans.every((plan) => plan.numDraftRows === 1 && plan.outcomes.length === 0);
    this.#numStepsLeft = arePlain ? NUM_STEPS : 0;
    if (arePlain) for (const { statistics } of inputs) this.#statistics.push(statistics);
  }
}
