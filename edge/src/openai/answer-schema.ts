import { finishReasonSchema } from '@tidar/shared/protocol.ts';
import { z } from 'zod';

const count = z.int().nonnegative();
const usage = z.object({
  prompt_tokens: count,
  completion_tokens: count,
  total_tokens: count,
  prompt_tokens_details: z.object({ cached_tokens: count }),
});
const scored = z.object({ token: z.string(), logprob: z.number(), bytes: z.array(count).nullable() });
const token = scored.extend({ top_logprobs: z.array(scored) });
const chatLogprobs = z.object({ content: z.array(token), refusal: z.null() }).nullable();
const lists = z
  .object({
    tokens: z.array(z.string()),
    token_logprobs: z.array(z.number().nullable()),
    top_logprobs: z.array(z.record(z.string(), z.number()).nullable()),
    text_offset: z.array(count),
  })
  .nullable();
/** The `tidar` object of an answer. */
const told = z.looseObject({
  seed: z.string(),
  num_forward_passes: count,
  prompt_logprobs: z.array(token.nullable()).optional(),
});
const head = { id: z.string(), created: count, model: z.string(), system_fingerprint: z.string() };
const ending = { index: count, finish_reason: finishReasonSchema };
const open = { index: count, finish_reason: finishReasonSchema.nullable() };
const chunk = { ...head, usage: usage.nullish(), tidar: z.looseObject({}).optional() };

const call = z.object({
  id: z.string(),
  type: z.literal('function'),
  function: z.object({ name: z.string(), arguments: z.string() }),
});
/** `content` is null where there are calls alone. */
const message = z.object({
  role: z.literal('assistant'),
  content: z.string().nullable(),
  refusal: z.null(),
  reasoning_content: z.string().optional(),
  tool_calls: z.array(call).optional(),
});
/** The first piece of a call has its id, type and name. */
const callPiece = z.object({
  index: count,
  id: z.string().optional(),
  type: z.literal('function').optional(),
  function: z.object({ name: z.string().optional(), arguments: z.string() }),
});
const delta = z.object({
  role: z.literal('assistant').optional(),
  content: z.string().optional(),
  reasoning_content: z.string().optional(),
  tool_calls: z.array(callPiece).optional(),
});

/** What the routes answer, for the API's document; tests hold real answers against it. */
export const ANSWERS = {
  ChatCompletion: z.object({
    ...head,
    object: z.literal('chat.completion'),
    choices: z.array(z.object({ ...ending, message, logprobs: chatLogprobs })),
    usage,
    tidar: told,
  }),
  ChatCompletionChunk: z.object({
    ...chunk,
    object: z.literal('chat.completion.chunk'),
    choices: z.array(z.object({ ...open, delta, logprobs: chatLogprobs })),
  }),
  Completion: z.object({
    ...head,
    object: z.literal('text_completion'),
    choices: z.array(z.object({ ...ending, text: z.string(), logprobs: lists })),
    usage,
    tidar: told,
  }),
  CompletionChunk: z.object({
    ...chunk,
    object: z.literal('text_completion'),
    choices: z.array(z.object({ ...open, text: z.string(), logprobs: lists })),
  }),
  Model: z.object({
    id: z.string(),
    object: z.literal('model'),
    created: count,
    owned_by: z.string(),
    tidar: z.object({
      context_length: count,
      block_size: count,
      draft_length: count,
      fingerprint: z.string(),
      decoders: z.array(z.string()).optional(),
      tool_format: z.string().nullable().optional(),
    }),
  }),
  Error: z.object({
    error: z.object({
      message: z.string(),
      type: z.string(),
      param: z.string().nullable(),
      code: z.string(),
    }),
  }),
};
