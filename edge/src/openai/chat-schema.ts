import { jsonSchemaSchema, topLogprobsSchema } from '@tidar/shared/protocol.ts';
import { z } from 'zod';
import { commonParameters, flag, only, tokenLimit, unsupported } from './common-schema.ts';

const MAX_METADATA_PAIRS = 16;

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

const metadata = z
  .record(z.string().max(64), z.string('expected a string').max(512, 'expected at most 512 characters'))
  .refine(
    (record) => Object.keys(record).length <= MAX_METADATA_PAIRS,
    `expected at most ${MAX_METADATA_PAIRS} pairs`,
  )
  .nullish();

const jsonSchemaFormat = z.strictObject({
  name: z.string('expected a name').regex(/^[\w-]{1,64}$/, 'expected 1 to 64 letters, digits, _ or -'),
  description: z.null('the model is not shown it: put it into a message').optional(),
  schema: jsonSchemaSchema.optional(),
  /** Every schema is kept to the letter here; what cannot be is refused. */
  strict: flag.nullish(),
});
const responseFormat = z
  .discriminatedUnion(
    'type',
    [
      z.strictObject({ type: z.literal('text') }),
      z.strictObject({ type: z.literal('json_object') }),
      z.strictObject({ type: z.literal('json_schema'), json_schema: jsonSchemaFormat }),
    ],
    { error: "expected 'text', 'json_object' or 'json_schema'" },
  )
  .nullish();

/** The body of `POST /v1/chat/completions`: every parameter is honoured or refused by its name. */
export const chatRequestSchema = z.strictObject({
  ...commonParameters,
  messages: z.array(message, 'expected a list of messages').min(1, 'expected at least one message'),
  max_tokens: tokenLimit,
  max_completion_tokens: tokenLimit,
  metadata,
  logprobs: flag.nullish(),
  top_logprobs: topLogprobsSchema.nullish(),
  store: only(false),
  tools: z.array(z.unknown()).max(0, 'tools are not supported yet').nullish(),
  tool_choice: only('none'),
  response_format: responseFormat,
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
});
export type ChatRequest = z.output<typeof chatRequestSchema>;
