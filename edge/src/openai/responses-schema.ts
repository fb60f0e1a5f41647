import {
  jsonSchemaSchema,
  temperatureSchema,
  topLogprobsSchema,
  topPSchema,
} from '@tidar/shared/protocol.ts';
import { MAX_TOOLS, toolArgumentsSchema, toolIdSchema, toolNameSchema } from '@tidar/shared/chat.ts';
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
import { parametersSchema, templateVariablesSchema } from './tool-schema.ts';

const MAX_ID_LENGTH = 128;

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
const id = z.string('expected a string').nullish();
const status = z.enum(['in_progress', 'completed', 'incomplete']).nullish();

const message = z.strictObject({
  type: z.literal('message').optional(),
  role: z.enum(
    ['system', 'developer', 'user', 'assistant'],
    "expected 'system', 'developer', 'user' or 'assistant'",
  ),
  content: z.union(
    [z.string(), z.array(part).min(1, 'expected a part')],
    'expected a string or a list of text parts',
  ),
  id,
  status,
  phase: unsupported,
});
const reasoning = z.strictObject({
  type: z.literal('reasoning'),
  summary: z.array(z.never()).max(0, 'expected an empty list').nullish(),
  content: z.array(z.strictObject({ type: z.literal('reasoning_text'), text: z.string() })).nullish(),
  encrypted_content: unsupported,
  id,
  status,
});
const call = z.strictObject({
  type: z.literal('function_call'),
  call_id: toolIdSchema,
  name: toolNameSchema,
  arguments: toolArgumentsSchema,
  id,
  status,
});
const callOutput = z.strictObject({
  type: z.literal('function_call_output'),
  call_id: toolIdSchema,
  output: z.union([z.string(), z.array(part)], 'expected a string or a list of text parts'),
  id,
  status,
});
/** An item of an answer that can be read again. */
const reference = z.strictObject({
  type: z.literal('item_reference'),
  id: z
    .string('expected the id of an item')
    .regex(/^(msg|rs|fc)_[0-9a-f]{32}(_\d{1,3})?$/, 'expected the id of an item of a response'),
});
const ITEM_TYPES = "'message', 'reasoning', 'function_call', 'function_call_output' and 'item_reference'";
const item = z.discriminatedUnion('type', [message, reasoning, call, callOutput, reference], {
  error: `only items of type ${ITEM_TYPES} are supported`,
});

const tool = z.strictObject({
  type: z.literal('function', "only tools of type 'function' are supported"),
  name: toolNameSchema,
  description: z.string('expected a string').nullish(),
  parameters: parametersSchema.nullish(),
  strict: flag.nullish(),
});
const toolChoice = z
  .union(
    [
      z.enum(['none', 'auto', 'required']),
      z.strictObject({ type: z.literal('function', "only 'function' is supported"), name: toolNameSchema }),
    ],
    "expected 'none', 'auto', 'required' or { type: 'function', name }",
  )
  .nullish();

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
  instructions: z.string('expected a string').nullish(),
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
  tools: z
    .array(tool, 'expected a list of tools')
    .max(MAX_TOOLS, `expected at most ${MAX_TOOLS} tools`)
    .nullish(),
  tool_choice: toolChoice,
  parallel_tool_calls: flag.nullish(),
  /** With what OpenAI's chat completions have and its responses have not. */
  tidar: tidarExtension
    .extend({
      seed,
      stop,
      presence_penalty,
      frequency_penalty,
      logit_bias,
      chat_template_kwargs: templateVariablesSchema,
    })
    .nullish(),
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
export type ResponseItem = z.output<typeof item>;
export type ResponseRequest = z.output<typeof responseRequestSchema>;
