import { z } from 'zod';
import { chatInputSchema, jsonObjectSchema, toolCallPieceSchema } from './chat.ts';
import { decoderSchema } from './decoder.ts';
import { errorObjectSchema, TidarError } from './errors.ts';
import { wholeWithin, within } from './numbers.ts';
import { encodeSse, type SseMessage } from './sse.ts';
import { passTraceSchema } from './trace.ts';

/** Goes up with every change that a peer of the version before would misread. */
export const PROTOCOL_VERSION = 4;
export const MAX_STOP_STRINGS = 4;
export const MAX_CHOICES = 16;
export const MAX_TOP_LOGPROBS = 20;
/** Fewer than of the answer's tokens: a long prompt's are sent all at once. */
export const MAX_PROMPT_LOGPROBS = 5;
export const MAX_LOGIT_BIASES = 1024;
const MAX_GRAMMAR_LENGTH = 65_536;
const U64_END = 1n << 64n;

const count = z.int('expected a whole number').nonnegative('expected 0 or more');
const tokenId = z
  .int('expected a token id')
  .min(0, 'expected a token id')
  .max(0xffffffff, 'expected a token id');
const tokenIds = z.array(tokenId);
const isU64 = (text: string): boolean => /^(0|[1-9]\d{0,19})$/.test(text) && BigInt(text) < U64_END;

/** A seed of 64 bits travels as a decimal string: a JSON number would lose its low bits. */
export const seedSchema = z.string().refine(isU64, 'expected a 64-bit seed as a decimal string');

export const temperatureSchema = within(0, 2);
export const topKSchema = count;
export const topPSchema = within(0, 1).gt(0, 'expected more than 0, at most 1');
export const minPSchema = within(0, 1).lt(1, 'expected 0 to less than 1');
/** Of presence and frequency. */
export const penaltySchema = within(-2, 2);
export const repetitionPenaltySchema = within(0, 10).gt(0, 'expected more than 0, at most 10');
export const biasSchema = within(-100, 100);
export const topLogprobsSchema = wholeWithin(0, MAX_TOP_LOGPROBS);
export const promptLogprobsSchema = wholeWithin(0, MAX_PROMPT_LOGPROBS);
export const numChoicesSchema = wholeWithin(1, MAX_CHOICES);
export const tokenIdsSchema = tokenIds;

/** What is added to the logits of some tokens, each token once. */
const logitBiasSchema = z
  .array(z.tuple([tokenId, biasSchema]))
  .max(MAX_LOGIT_BIASES, `expected at most ${MAX_LOGIT_BIASES} tokens`)
  .refine((pairs) => new Set(pairs.map(([id]) => id)).size === pairs.length, 'expected each token once');

export const samplingParamsSchema = z.strictObject({
  temperature: temperatureSchema.default(1),
  /** 0 turns it off. */
  top_k: topKSchema.default(0),
  top_p: topPSchema.default(1),
  min_p: minPSchema.default(0),
  presence_penalty: penaltySchema.default(0),
  frequency_penalty: penaltySchema.default(0),
  /** 1 turns it off. */
  repetition_penalty: repetitionPenaltySchema.default(1),
  logit_bias: logitBiasSchema.default([]),
  /** No end of the text before so many tokens. */
  min_tokens: count.default(0),
  seed: seedSchema,
});
export type SamplingParams = z.infer<typeof samplingParamsSchema>;

export const jsonSchemaSchema = z.union([jsonObjectSchema, z.boolean()], 'expected a JSON schema');
export const grammarTextSchema = z
  .string('expected a string')
  .min(1, 'expected a non-empty string')
  .max(MAX_GRAMMAR_LENGTH, `expected at most ${MAX_GRAMMAR_LENGTH} characters`);

/** The form that the whole text must have. */
export const grammarSchema = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('json_schema'), schema: jsonSchemaSchema }),
  z.strictObject({ type: z.literal('json_object') }),
  z.strictObject({ type: z.literal('regex'), pattern: grammarTextSchema }),
  z.strictObject({ type: z.literal('grammar'), ebnf: grammarTextSchema }),
]);
export type Grammar = z.infer<typeof grammarSchema>;

export const generateInputSchema = z.discriminatedUnion('type', [
  chatInputSchema,
  z.strictObject({ type: z.literal('text'), text: z.string() }),
  z.strictObject({ type: z.literal('tokens'), token_ids: tokenIds.min(1, 'expected a token') }),
]);
export type GenerateInput = z.infer<typeof generateInputSchema>;

export const traceSchema = z.enum(['none', 'stats', 'full'], "expected 'none', 'stats' or 'full'");

/** The body of `POST /v1/generate`. */
export const generateRequestSchema = z.strictObject({
  request_id: z.string().min(1).max(128),
  model: z.string().min(1),
  input: generateInputSchema,
  num_choices: numChoicesSchema.default(1),
  /** Of each choice. Absent: as many as fit in the context. */
  max_tokens: z.int('expected 1 or more').min(1, 'expected 1 or more').optional(),
  stop: z.array(z.string().min(1, 'expected a non-empty string')).max(MAX_STOP_STRINGS).default([]),
  stop_token_ids: tokenIds.default([]),
  /** The model's own end tokens do not end the text. */
  ignore_eos: z.boolean().default(false),
  sampling: samplingParamsSchema,
  decoder: decoderSchema,
  grammar: grammarSchema.optional(),
  /** How many alternatives are told beside each token's own; absent: no log-probabilities. */
  logprobs: topLogprobsSchema.optional(),
  prompt_logprobs: promptLogprobsSchema.optional(),
  trace: traceSchema.default('none'),
  /** False: the backend's journal forgets the request, the prompt and the tokens when the text has ended. */
  store: z.boolean().default(true),
  /** What an earlier attempt generated, a list for each choice: no template is rendered again. */
  resume: z.strictObject({ prompt_token_ids: tokenIds, token_ids: z.array(tokenIds) }).optional(),
});
export type GenerateRequest = z.infer<typeof generateRequestSchema>;
/** The same before its defaults are filled in. */
export type GenerateRequestInput = z.input<typeof generateRequestSchema>;

export const usageSchema = z.object({
  prompt_tokens: count,
  completion_tokens: count,
  cached_tokens: count,
  num_forward_passes: count,
});
export type Usage = z.infer<typeof usageSchema>;

/** The forward pass of a step as a choice of this request saw it. */
export const stepStatsSchema = z.object({
  rows: count,
  drafted: count,
  accepted: count,
  milliseconds: z.number().nonnegative(),
  /** The name of the plan that laid the rows out. */
  plan: z.string(),
  /** How many sequences shared the pass. */
  sequences: count,
  /** Where the step took several, as in block diffusion: their number; the other numbers are their sums. */
  passes: count.optional(),
  /** Of the draft model, before the pass. */
  draft_passes: count.optional(),
  draft_milliseconds: z.number().nonnegative().optional(),
});
export type StepStats = z.infer<typeof stepStatsSchema>;

export const finishReasonSchema = z.enum(['stop', 'length', 'tool_calls']);
export type FinishReason = z.infer<typeof finishReasonSchema>;

/** A token as a text shows it; `bytes` is null where it stands for none, as special tokens do. */
const tokenScoreSchema = z.object({
  token_id: tokenId,
  token: z.string(),
  bytes: z.array(z.int().min(0).max(255)).nullable(),
  /** Natural logarithm, of the model's own distribution over its whole vocabulary. */
  logprob: z.number(),
});
export type TokenScore = z.infer<typeof tokenScoreSchema>;
export const tokenLogprobSchema = tokenScoreSchema.extend({ top: z.array(tokenScoreSchema) });
export type TokenLogprob = z.infer<typeof tokenLogprobSchema>;

/** First of all, once the prompt is accepted. */
export const startEventSchema = z.object({
  type: z.literal('start'),
  request_id: z.string(),
  prompt_token_ids: tokenIds,
  num_prompt_tokens: count,
  num_cached_tokens: count,
  /** One for each token of the prompt; null for the first, which nothing predicts. */
  prompt_logprobs: z.array(tokenLogprobSchema.nullable()).optional(),
  seed: seedSchema,
  fingerprint: z.string(),
  model: z.string(),
});

/** The tokens that one forward pass decided, and what they complete of the answer (what is held back comes later). */
export const stepEventSchema = z.object({
  type: z.literal('step'),
  choice: count,
  token_ids: tokenIds,
  text: z.string(),
  /** Of a chat whose model thinks: what it thought, which is no part of the text. */
  reasoning: z.string().optional(),
  /** Calls of tools come after all text. */
  tool_calls: z.array(toolCallPieceSchema).optional(),
  /** One for each token of the step. */
  logprobs: z.array(tokenLogprobSchema).optional(),
  stats: stepStatsSchema.optional(),
  /** With `trace: 'full'`: of each pass of the step, the last of which decided the tokens. */
  trace: z.array(passTraceSchema).optional(),
});

/** The end of one choice: no step of it comes after. */
export const finishEventSchema = z.object({
  type: z.literal('finish'),
  choice: count,
  finish_reason: finishReasonSchema,
});

export const endEventSchema = z.object({ type: z.literal('end'), usage: usageSchema });

export const errorEventSchema = z.object({ type: z.literal('error'), error: errorObjectSchema });

/** What a backend streams. Exactly one `end` or `error` closes every accepted request. */
export const generateEventSchema = z.discriminatedUnion('type', [
  startEventSchema,
  stepEventSchema,
  finishEventSchema,
  endEventSchema,
  errorEventSchema,
]);
export type GenerateEvent = z.infer<typeof generateEventSchema>;
export type StartEvent = z.infer<typeof startEventSchema>;
export type StepEvent = z.infer<typeof stepEventSchema>;
export type FinishEvent = z.infer<typeof finishEventSchema>;
export type EndEvent = z.infer<typeof endEventSchema>;

export const modelInfoSchema = z.object({
  id: z.string().min(1),
  fingerprint: z.string().min(1),
  context_length: z.int().positive(),
  /** The model's trained draft length; 0 where it has no diffusion mode. */
  block_size: count,
  /** The draft length of requests that name a plan and no length; 0 where it has no diffusion mode. */
  draft_length: count,
  /** The same for plan 'auto', which takes it as the most that a step may draft. */
  auto_draft_length: count,
  has_tokenizer: z.boolean(),
  /** What it can decode by; a name that is not known here is one of a later release. Absent: of an earlier one. */
  decoders: z.array(z.string()).optional(),
  /** How its calls of tools are written; null: it has none. */
  tool_format: z.string().nullable().optional(),
  /** Unix time in seconds. */
  created: count,
});
export type ModelInfo = z.infer<typeof modelInfoSchema>;

/** Which protocol a backend speaks, of any answer about itself; the first version did not say. */
export const protocolVersionSchema = z.object({ protocol_version: count.default(1) });
/** The answer of a backend's `GET /v1/models`. */
export const modelListSchema = protocolVersionSchema.extend({ models: z.array(modelInfoSchema) });
/** The answer of a backend's `GET /health`; `models` are ids. */
export const healthSchema = z.object({ status: z.enum(['ok', 'draining']), models: z.array(z.string()) });
export type Health = z.infer<typeof healthSchema>;

/** An event on the wire; its SSE id is the vector of completion tokens after it, a count for each choice. */
export function encodeGenerateEvent(event: GenerateEvent, numCompletionTokens: readonly number[]): string {
  return encodeSse({ event: event.type, id: numCompletionTokens.join(','), data: JSON.stringify(event) });
}

/** The counts of an SSE id; undefined where it is none of a request of so many choices. */
export function parseEventId(id: string, numChoices: number): number[] | undefined {
  if (!/^(0|[1-9]\d{0,15})(,(0|[1-9]\d{0,15}))*$/.test(id)) return undefined;
  const counts = id.split(',').map(Number);
  return counts.length === numChoices && counts.every(Number.isSafeInteger) ? counts : undefined;
}

/** The event that an SSE message carries; what is not one throws `backend_unavailable`. */
export function parseGenerateEvent(message: SseMessage): GenerateEvent {
  try {
    return generateEventSchema.parse(JSON.parse(message.data));
  } catch (error) {
    throw new TidarError('backend_unavailable', 'The backend sent an event that cannot be read.', {
      internal: `malformed event ${message.event ?? '(no name)'}: ${String(error)}`,
    });
  }
}
