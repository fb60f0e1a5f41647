import { planSchema, strategySchema } from '@tidar/shared/decoder.ts';
import type { PlanName } from '@tidar/shared/decoder.ts';
import type { DiffusionOptions } from '../engine/diffusion/options.ts';

export type { DiffusionOptions, PlanName };
export type Strategy = DiffusionOptions['strategy'];

/** How plans are named, as requests name them; 'auto' is the planner's choice. */
export const PLAN_NAMES = planSchema.options;
export const STRATEGIES = strategySchema.options;

export interface TidarOptions {
  readonly plan: PlanName;
  /** Tokens that a block drafts; for 'auto' the most that it may. */
  readonly draftLength: number;
  /** Trust in the causal rows; below 1 only the dense plan has a text of its own. */
  readonly beta: number;
}

/** Drafts of a small model with the same tokenizer, verified by the model itself. */
export interface SpeculativeOptions {
  /** Tokens that the draft model proposes before each pass. */
  readonly draftLength: number;
}

export type Decoder =
  | { readonly type: 'ar' }
  | ({ readonly type: 'tidar' } & TidarOptions)
  | ({ readonly type: 'speculative' } & SpeculativeOptions)
  | ({ readonly type: 'diffusion' } & DiffusionOptions);

/** Of requests that name a plan and no length: beyond it rows cost a CPU more than their drafts give (npm run bench). */
export const NAMED_PLAN_DRAFT_LENGTH = 4;
