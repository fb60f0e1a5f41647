import type { Active, Turn } from './engine.ts';
import { ar } from './plan.ts';
import type { Plan } from './plan.ts';

/** Chooses the plans of a pass and learns from what came of them. */
export interface PlanChooser {
  /** One plan for each sequence; `numOtherRows` are in the same pass beside theirs. */
  choose(sequences: readonly Active[], numOtherRows: number): Plan[];
  observe(turns: readonly Turn[], capacity: number): void;
}

/** Only rules that need no measurements: 'auto' decodes plainly. */
export const FIXED_PLANS: PlanChooser = {
  choose: (sequences) =>
    sequences.map(({ rule, sequence }) => (rule.type === 'fixed' ? rule.next(sequence) : ar())),
  observe: () => undefined,
};
