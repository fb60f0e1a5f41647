import { z } from 'zod';
import { wholeWithin, within } from './numbers.ts';

export const MAX_DRAFT_LENGTH = 64;
/** Of requests for speculative decoding that name none. */
export const SPECULATIVE_DRAFT_LENGTH = 4;
/** Of block diffusion. */
export const MAX_BLOCK_LENGTH = 64;

export const draftLengthSchema = wholeWithin(1, MAX_DRAFT_LENGTH);
export const betaSchema = within(0, 1);
export const blockLengthSchema = wholeWithin(1, MAX_BLOCK_LENGTH);
export const tokensPerPassSchema = wholeWithin(1, MAX_BLOCK_LENGTH);
export const thresholdSchema = within(0, 1).gt(0, 'expected more than 0, at most 1');

/** How forward passes are laid out; with beta 1 it decides how fast a text comes, never which. */
export const planSchema = z.enum(
  ['auto', 'dense', 'sparse', 'branches', 'two-pass'],
  "expected 'auto', 'dense', 'sparse', 'branches' or 'two-pass'",
);
export type PlanName = z.infer<typeof planSchema>;

export const strategySchema = z.enum(
  ['confidence', 'threshold', 'left-to-right'],
  "expected 'confidence', 'threshold' or 'left-to-right'",
);

/** What generates the text; see docs/decoders.md. */
export const decoderSchema = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('ar') }),
  z
    .strictObject({
      type: z.literal('tidar'),
      plan: planSchema.default('auto'),
      /** The most drafts of a step. */
      draft_length: draftLengthSchema,
      beta: betaSchema.default(1),
    })
    .refine(({ plan, beta }) => beta === 1 || plan === 'dense', {
      path: ['beta'],
      message: "below 1 it needs plan 'dense', whose text alone is defined there",
    }),
  z.strictObject({
    type: z.literal('speculative'),
    /** Tokens that the draft model proposes before each pass. */
    draft_length: draftLengthSchema,
  }),
  z.discriminatedUnion('strategy', [
    z.strictObject({
      type: z.literal('diffusion'),
      block_length: blockLengthSchema,
      strategy: strategySchema.extract(['confidence', 'left-to-right']),
      tokens_per_pass: tokensPerPassSchema,
    }),
    z.strictObject({
      type: z.literal('diffusion'),
      block_length: blockLengthSchema,
      strategy: strategySchema.extract(['threshold']),
      threshold: thresholdSchema,
    }),
  ]),
]);
export type Decoder = z.infer<typeof decoderSchema>;
