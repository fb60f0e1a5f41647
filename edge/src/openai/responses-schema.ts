import {
  jsonSchemaSchema,
  temperatureSchema,
  topLogprobsSchema,
  topPSchema,
} from '@tidar/shared/protocol.ts';
import { z } from 'zod';
import {
  commonParameters,
  flag,
  metadata,
  only,
  schemaName,
  tidarExtension,
  tokenLimit,
  unsupported,
} from './common-schema.ts';

const MAX_ID_LENGTH = 128;
const MAX_INSTRUCTIONS_LENGTH = 1024 * 1024;

const { model, stream, user, seed, stop, presence_penalty, frequency_penalty, logit_bias } = commonParameters;

/** Takes an answer's part as it was given, so that a client may send it back unchanged. */
const part = z.discriminatedUnion(
  'type',
  [
    z.strictObject({ type: z.literal('input_text'), text: z.string('expected a string') }),
    z.strictObject({
      type: z.literal('output_text'),
      text: z.string('expected a string'),
      annotations: z.array(z.never()).max(0, 'expected an empty list').nullish(),
      logprobs: z.array(z.unknown()).nullish(),
    }),
  ],
  { error: "only parts of type 'input_text' and 'output_text' are supported" },
);
const item = z.strictObject({
  type: z.literal('message', "only items of type 'message' are supported").optional(),
  role: z.enum(
    ['system', 'developer', 'user', 'assistant'],
    "expected 'system', 'developer', 'user' or 'assistant'",
  ),
  content: z.union(
    [z.string(), z.array(part).min(1, 'expected a part')],
    'expected a string or a list of text parts',
  ),
  id: z.string('expected a string').nullish(),
  status: z.enum(['in_progress', 'completed', 'incomplete']).nullish(),
  phase: unsupported,
});

const format = z.discriminatedUnion(
  'type',
  [
    z.strictObject({ type: z.literal('text') }),
    z.strictObject({ type: z.literal('json_object') }),
    z.strictObject({
      type: z.literal('json_schema'),
      name: schemaName,
      description: z.null('the model is not shown it: put it into the instructions').optional(),
      schema: jsonSchemaSchema,
      /** Every schema is kept to the letter here; what cannot be is refused. */
      strict: flag.nullish(),
    }),
  ],
  { error: "expected 'text', 'json_object' or 'json_schema'" },
);

const name = (most: number) =>
  z.string('expected a string').max(most, `expected at most ${most} characters`).nullish();

/** The body of `POST /v1/responses`: every parameter is honoured or refused by its name. */
export const responseRequestSchema = z.strictObject({
  model,
  input: z.union(
    [z.string(), z.array(item).min(1, 'expected at least one item')],
    'expected a text or a list of messages',
  ),
  instructions: name(MAX_INSTRUCTIONS_LENGTH),
  max_output_tokens: tokenLimit,
  temperature: temperatureSchema.nullish(),
  top_p: topPSchema.nullish(),
  text: z.strictObject({ format: format.nullish(), verbosity: only('medium') }).nullish(),
  include: z
    .array(
      z.literal('message.output_text.logprobs', "only 'message.output_text.logprobs' can be included here"),
    )
    .nullish(),
  top_logprobs: topLogprobsSchema.nullish(),
  stream,
  stream_options: z.strictObject({ include_obfuscation: only(false) }).nullish(),
  metadata,
  store: flag.nullish(),
  previous_response_id: name(MAX_ID_LENGTH),
  user,
  safety_identifier: user,
  prompt_cache_key: user,
  truncation: only('disabled'),
  service_tier: z
    .enum(['auto', 'default'], "only 'auto' and 'default' are supported: there is one tier")
    .nullish(),
  background: only(false),
  reasoning: z
    .strictObject({ effort: only('none'), summary: unsupported, generate_summary: unsupported })
    .nullish(),
  tools: z.array(z.unknown()).max(0, 'tools are not supported by this route').nullish(),
  tool_choice: z.enum(['none', 'auto'], "only 'none' and 'auto' are supported without tools").nullish(),
  parallel_tool_calls: flag.nullish(),
  /** With what OpenAI's chat completions have and its responses have not. */
  tidar: tidarExtension.extend({ seed, stop, presence_penalty, frequency_penalty, logit_bias }).nullish(),
  access_programs: unsupported,
  context_management: unsupported,
  conversation: unsupported,
  image: unsupported,
  max_tool_calls: unsupported,
  moderation: unsupported,
  prompt: unsupported,
  prompt_cache_options: unsupported,
  prompt_cache_retention: unsupported,
});
export type ResponseRequest = z.output<typeof responseRequestSchema>;
