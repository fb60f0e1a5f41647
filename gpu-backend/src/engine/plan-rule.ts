import type { Plan } from './plan.ts';
import type { Sequence } from './sequence.ts';

/** How a sequence's plans are chosen. It decides how fast the text comes, never which text. */
export type PlanRule =
  /** By a function of the sequence's own state. */
  | {
      readonly type: 'fixed';
      readonly name: string;
      readonly next: (sequence: Sequence) => Plan;
      /** Before each pass the engine's drafter is asked for so many drafts; absent: it is not. */
      readonly numForeignDrafts?: number;
    }
  /** By what rows cost now and what drafts of this text are worth, for the whole batch at once. */
  | { readonly type: 'auto'; readonly maxDraftLength: number };
