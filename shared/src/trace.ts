import { z } from 'zod';

const count = z.int().nonnegative();
const tokenId = z.int().min(0).max(0xffffffff);
/** Natural logarithm, of the model's own distribution; null where it is not known. */
const logprob = z.number().nullable();

/**
 * A token as a text shows it. `bytes` only where the text does not say them: of a part of a character, and null where
 * the token stands for no text.
 */
const tracedTokenSchema = z.object({
  token_id: tokenId,
  token: z.string(),
  bytes: z.array(z.int().min(0).max(255)).nullable().optional(),
});
export type TracedToken = z.infer<typeof tracedTokenSchema>;

/** `decided`: draft row 1; `fixed`: in block diffusion, what an earlier pass made of a mask. */
export const rowKindSchema = z.enum(['decided', 'draft', 'correction', 'mask', 'fixed']);
export type RowKind = z.infer<typeof rowKindSchema>;

/**
 * The rows of a pass, a list for each property. Row r stands at `positions[r]` and sees all tokens before row 0, the first
 * `depths[r]` rows, and rows [block_starts[r], block_ends[r]).
 */
const tracedRowsSchema = z.object({
  kinds: z.array(rowKindSchema),
  token_ids: z.array(tokenId),
  positions: z.array(count),
  depths: z.array(count),
  block_starts: z.array(count),
  block_ends: z.array(count),
});

/** One forward pass as one choice saw it. */
export const passTraceSchema = z.object({
  /** Tokens before row 0. The last `pending_rows` of them, a prompt say, were rows of this pass too, each after the other. */
  prefix: count,
  pending_rows: count,
  rows: tracedRowsSchema,
  /** What the plan drafted for: that so many rows are accepted, and then comes `correction` (absent: anything). */
  outcomes: z.array(
    z.object({
      accepted: count,
      correction: tracedTokenSchema.optional(),
      masks: count,
      first_row: count,
    }),
  ),
  /** Which of them happened; null: none. */
  outcome: count.nullable(),
  /** In order, what stood for the tokens to decide; without a `row`, the plan left it out. */
  drafts: z.array(tracedTokenSchema.extend({ logprob, row: count.nullable(), accepted: z.boolean() })),
  /** Decided in this pass, in order. */
  tokens: z.array(
    tracedTokenSchema.extend({
      /** By the causal row; null in block diffusion, which has none. */
      ar_logprob: logprob,
      /** By the row that drafted this position; null where none did. */
      draft_logprob: logprob,
      /** Of both as `beta` mixes them; absent at 1. */
      mixed_logprob: z.number().optional(),
      draft: z.enum(['accepted', 'rejected', 'none']),
    }),
  ),
  /** What rows of this pass predict: the next drafts; in block diffusion, what masks became. */
  predicted: z.array(tracedTokenSchema.extend({ row: count, logprob })),
});
export type PassTrace = z.infer<typeof passTraceSchema>;
