import { betaSchema, draftLengthSchema, MAX_STOP_STRINGS, traceSchema } from '@tidar/shared/protocol.ts';
import { z } from 'zod';

const MAX_METADATA_PAIRS = 16;
const MAX_USER_LENGTH = 512;

/** A parameter of OpenAI's that can only have the value that changes nothing. */
const only = (value: string | number | boolean) =>
  z.literal(value, `only ${String(value)} is supported yet`).nullish();
const unsupported = z.null('this parameter is not supported here').optional();

const textPart = z.strictObject({
  type: z.literal('text', "only parts of type 'text' are supported"),
  text: z.string('expected a string'),
});
const content = z.union(
  [z.string(), z.array(textPart).min(1, 'expected a part')],
  'expected a string or a list of text parts',
);

const promptMessage = z.strictObject({ role: z.enum(['system', 'developer', 'user']), content });
/** Takes an answer's message as it was given, so that a client may send it back unchanged. */
const assistantMessage = z.strictObject({
  role: z.literal('assistant'),
  content,
  refusal: z.null('expected null').optional(),
  annotations: z.array(z.never()).max(0, 'expected an empty list').nullish(),
  audio: unsupported,
  function_call: unsupported,
  tool_calls: z.array(z.never()).max(0, 'tools are not supported yet').nullish(),
});
const message = z.discriminatedUnion('role', [promptMessage, assistantMessage], {
  error: "expected an object with role 'system', 'developer', 'user' or 'assistant'",
});

const tokenLimit = z.int('expected a whole number').min(1, 'expected 1 or more').nullish();
const probability = z.number('expected a number');

/** OpenAI's seed is a JSON integer; a 64-bit one that this edge drew is given back as the string that it was. */
const seed = z
  .union(
    [z.int(), z.string().regex(/^\d{1,20}$/)],
    'expected a whole number below 2^53, or a 64-bit one as a string',
  )
  .nullish();

const stop = z
  .union(
    [z.string().min(1), z.array(z.string().min(1)).max(MAX_STOP_STRINGS)],
    `expected a non-empty string or a list of at most ${MAX_STOP_STRINGS}`,
  )
  .nullish();

const metadata = z
  .record(z.string().max(64), z.string('expected a string').max(512, 'expected at most 512 characters'))
  .refine(
    (record) => Object.keys(record).length <= MAX_METADATA_PAIRS,
    `expected at most ${MAX_METADATA_PAIRS} pairs`,
  )
  .nullish();

/** What this API adds to OpenAI's. */
const tidarExtension = z.strictObject({
  decoder: z.enum(['tidar', 'ar'], "expected 'tidar' or 'ar'").optional(),
  draft_length: draftLengthSchema.optional(),
  beta: betaSchema.optional(),
  top_k: z.int('expected a whole number').min(0, 'expected 0 or more').optional(),
  min_p: probability.min(0, 'expected 0 to less than 1').lt(1, 'expected 0 to less than 1').optional(),
  trace: traceSchema.optional(),
});

/** The body of `POST /v1/chat/completions`: every parameter is honoured or refused by its name. */
export const chatRequestSchema = z.strictObject({
  model: z.string('expected the id of a model').min(1, 'expected the id of a model'),
  messages: z.array(message, 'expected a list of messages').min(1, 'expected at least one message'),
  max_tokens: tokenLimit,
  max_completion_tokens: tokenLimit,
  temperature: probability.min(0, 'expected 0 to 2').max(2, 'expected 0 to 2').nullish(),
  top_p: probability
    .gt(0, 'expected more than 0, at most 1')
    .max(1, 'expected more than 0, at most 1')
    .nullish(),
  seed,
  stop,
  stream: z.boolean('expected true or false').nullish(),
  stream_options: z
    .strictObject({
      include_usage: z.boolean('expected true or false').optional(),
      include_obfuscation: only(false),
    })
    .nullish(),
  user: z
    .string('expected a string')
    .max(MAX_USER_LENGTH, `expected at most ${MAX_USER_LENGTH} characters`)
    .nullish(),
  metadata,
  n: only(1),
  presence_penalty: only(0),
  frequency_penalty: only(0),
  logprobs: only(false),
  top_logprobs: only(0),
  store: only(false),
  logit_bias: z.record(z.string(), z.never('logit_bias is not supported yet')).nullish(),
  tools: z.array(z.unknown()).max(0, 'tools are not supported yet').nullish(),
  tool_choice: only('none'),
  response_format: z.strictObject({ type: z.literal('text', "only 'text' is supported yet") }).nullish(),
  audio: unsupported,
  function_call: unsupported,
  functions: unsupported,
  modalities: unsupported,
  parallel_tool_calls: unsupported,
  prediction: unsupported,
  prompt_cache_key: unsupported,
  prompt_cache_retention: unsupported,
  reasoning_effort: unsupported,
  safety_identifier: unsupported,
  service_tier: unsupported,
  verbosity: unsupported,
  web_search_options: unsupported,
  tidar: tidarExtension.nullish(),
});
export type ChatRequest = z.output<typeof chatRequestSchema>;
