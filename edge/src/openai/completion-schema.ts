import { tokenIdsSchema, topLogprobsSchema } from '@tidar/shared/protocol.ts';
import { z } from 'zod';
import { commonParameters, flag, tokenLimit, unsupported } from './common-schema.ts';

const onePrompt = [
  z.string().min(1, 'expected a non-empty text'),
  tokenIdsSchema.min(1, 'expected a token'),
] as const;

/** The body of `POST /v1/completions`: every parameter is honoured or refused by its name. */
export const completionRequestSchema = z.strictObject({
  ...commonParameters,
  prompt: z.union(
    [...onePrompt, z.tuple([z.union(onePrompt)])],
    'expected a text or a list of token ids, alone or as a list of one: a request has one prompt',
  ),
  max_tokens: tokenLimit,
  echo: flag.nullish(),
  logprobs: topLogprobsSchema.nullish(),
  /** Only what changes nothing: as many as `n`. */
  best_of: z.int('expected a whole number').nullish(),
  suffix: unsupported,
});
export type CompletionRequest = z.output<typeof completionRequestSchema>;
