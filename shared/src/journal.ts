import { z } from 'zod';
import { errorObjectSchema } from './errors.ts';
import {
  finishReasonSchema,
  generateRequestSchema,
  seedSchema,
  tokenIdsSchema,
  usageSchema,
} from './protocol.ts';

const count = z.int().nonnegative();

/** The address of a request's own routes on a backend: `POST` to it reads, to its `/lease` renews, to its `/forget` deletes. */
export const requestPath = (requestId: string): string => `/v1/requests/${encodeURIComponent(requestId)}`;

/** The answer of `POST /v1/requests/:id/lease`, whose body is empty: where the generation's lease ends now. */
export const renewAnswerSchema = z.object({ end_token: count });
export type RenewAnswer = z.infer<typeof renewAnswerSchema>;

/** The answer of `POST /v1/requests/:id/forget`, whose body is empty: of how many attempts something was kept. */
export const forgetAnswerSchema = z.object({ num_forgotten: count });
export type ForgetAnswer = z.infer<typeof forgetAnswerSchema>;

/** The body of `POST /v1/requests/:id`. */
export const readRequestSchema = z.strictObject({
  /** Completion tokens of each choice that the reader has, as an event's SSE id counts them; absent: none. */
  from: z.array(count).optional(),
  /** Events as of a generation, or one JSON answer. */
  stream: z.boolean().default(false),
});
export type ReadRequest = z.infer<typeof readRequestSchema>;
export type ReadRequestInput = z.input<typeof readRequestSchema>;

/**
 * `ended`: an `end` closed it. `failed`: an `error` did. `cancelled`: nobody read it for the grace, or a higher attempt
 * took its place. `interrupted`: its process died.
 */
export const journalStateSchema = z.enum(['running', 'ended', 'failed', 'cancelled', 'interrupted']);
export type JournalState = z.infer<typeof journalStateSchema>;

/** The answer of `POST /v1/requests/:id` without a stream: what one attempt has generated so far. */
export const journalAnswerSchema = z.object({
  request_id: z.string(),
  attempt: count,
  state: journalStateSchema,
  model: z.string(),
  fingerprint: z.string(),
  seed: seedSchema,
  /** Null where `store: false` deleted it. */
  prompt_token_ids: tokenIdsSchema.nullable(),
  /** Of each choice, those that it was resumed with included. Null where `store: false` deleted them. */
  token_ids: z.array(tokenIdsSchema).nullable(),
  /** How many of each choice, whether they are kept or not. */
  token_counts: z.array(count),
  /** `hashTokenIds` of them; null while it runs. */
  tokens_hash: z.string().nullable(),
  /** Null for a choice that has not finished. */
  finish_reasons: z.array(finishReasonSchema.nullable()),
  /** So far. Prompt tokens count from `start` on: 0 where the text was never begun; forward passes from the end on. */
  usage: usageSchema,
  error: errorObjectSchema.optional(),
  /** What was asked for: a later attempt needs it where nobody else has it. Absent where `store: false` deleted it. */
  request: generateRequestSchema.optional(),
});
export type JournalAnswer = z.infer<typeof journalAnswerSchema>;
