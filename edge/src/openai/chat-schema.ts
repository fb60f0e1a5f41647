import {
  betaSchema,
  blockLengthSchema,
  draftLengthSchema,
  planSchema,
  strategySchema,
  thresholdSchema,
  tokensPerPassSchema,
} from '@tidar/shared/decoder.ts';
import {
  biasSchema,
  grammarTextSchema,
  jsonSchemaSchema,
  MAX_LOGIT_BIASES,
  MAX_STOP_STRINGS,
  minPSchema,
  numChoicesSchema,
  penaltySchema,
  promptLogprobsSchema,
  repetitionPenaltySchema,
  temperatureSchema,
  tokenIdsSchema,
  topKSchema,
  topLogprobsSchema,
  topPSchema,
  traceSchema,
} from '@tidar/shared/protocol.ts';
import { z } from 'zod';

const MAX_METADATA_PAIRS = 16;
const MAX_USER_LENGTH = 512;
const MAX_STOP_TOKEN_IDS = 128;

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

const flag = z.boolean('expected true or false');
const tokenLimit = z.int('expected a whole number').min(1, 'expected 1 or more').nullish();

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

/** A map from token ids to biases; as pairs, since a token id is no name. */
const logitBias = z
  .custom<Record<string, unknown>>(
    (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
    'expected a map from token ids to biases',
  )
  .transform((map, context) => {
    const pairs = Object.entries(map).map(([name, value]): [number, number] => {
      const refuse = (message: string): void =>
        context.addIssue({ code: 'custom', message, path: [name], input: value });
      const bias = biasSchema.safeParse(value);
      if (!/^(0|[1-9]\d{0,9})$/.test(name)) refuse('expected a token id as the name');
      else if (!bias.success) refuse('expected -100 to 100');
      return [Number(name), bias.data ?? 0];
    });
    if (pairs.length > MAX_LOGIT_BIASES) {
      context.addIssue({
        code: 'custom',
        message: `expected at most ${MAX_LOGIT_BIASES} tokens`,
        input: map,
      });
    }
    return pairs;
  })
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

const DECODERS = ['ar', 'tidar', 'speculative', 'diffusion'] as const;

/** What this API adds to OpenAI's. */
export const tidarExtension = z.strictObject({
  decoder: z.enum(DECODERS, "expected 'ar', 'tidar', 'speculative' or 'diffusion'").optional(),
  plan: planSchema.optional(),
  draft_length: draftLengthSchema.optional(),
  beta: betaSchema.optional(),
  block_length: blockLengthSchema.optional(),
  strategy: strategySchema.optional(),
  tokens_per_pass: tokensPerPassSchema.optional(),
  threshold: thresholdSchema.optional(),
  top_k: topKSchema.optional(),
  min_p: minPSchema.optional(),
  repetition_penalty: repetitionPenaltySchema.optional(),
  min_tokens: z.int('expected a whole number').min(0, 'expected 0 or more').optional(),
  ignore_eos: flag.optional(),
  stop_token_ids: tokenIdsSchema.max(MAX_STOP_TOKEN_IDS, `expected at most ${MAX_STOP_TOKEN_IDS}`).optional(),
  prompt_logprobs: promptLogprobsSchema.optional(),
  regex: grammarTextSchema.optional(),
  grammar: grammarTextSchema.optional(),
  trace: traceSchema.optional(),
});

/** The body of `POST /v1/chat/completions`: every parameter is honoured or refused by its name. */
export const chatRequestSchema = z.strictObject({
  model: z.string('expected the id of a model').min(1, 'expected the id of a model'),
  messages: z.array(message, 'expected a list of messages').min(1, 'expected at least one message'),
  max_tokens: tokenLimit,
  max_completion_tokens: tokenLimit,
  temperature: temperatureSchema.nullish(),
  top_p: topPSchema.nullish(),
  seed,
  stop,
  stream: flag.nullish(),
  stream_options: z
    .strictObject({
      include_usage: flag.optional(),
      include_obfuscation: only(false),
    })
    .nullish(),
  user: z
    .string('expected a string')
    .max(MAX_USER_LENGTH, `expected at most ${MAX_USER_LENGTH} characters`)
    .nullish(),
  metadata,
  n: numChoicesSchema.nullish(),
  presence_penalty: penaltySchema.nullish(),
  frequency_penalty: penaltySchema.nullish(),
  logprobs: flag.nullish(),
  top_logprobs: topLogprobsSchema.nullish(),
  store: only(false),
  logit_bias: logitBias,
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
  tidar: tidarExtension.nullish(),
});
export type ChatRequest = z.output<typeof chatRequestSchema>;
