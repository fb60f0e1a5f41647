import type { Plan } from '../engine/plan.ts';
import type { Sequence } from '../engine/sequence.ts';

/** Chooses the plan of a sequence's next forward pass. It decides how fast the text comes, never which text. */
export type Policy = (sequence: Sequence) => Plan;
