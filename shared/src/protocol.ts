import { z } from 'zod';
import { errorObjectSchema, TidarError } from './errors.ts';
import { encodeSse, type SseMessage } from './sse.ts';

export const PROTOCOL_VERSION = 1;
export const MAX_STOP_STRINGS = 4;
export const MAX_DRAFT_LENGTH = 64;
const U64_END = 1n << 64n;

const count = z.int('expected a whole number').nonnegative('expected 0 or more');
const tokenIds = z.array(z.int('expected a token id').min(0, 'expected a token id').max(0xffffffff));
const isU64 = (text: string): boolean => /^(0|[1-9]\d{0,19})$/.test(text) && BigInt(text) < U64_END;

/** A seed of 64 bits travels as a decimal string: a JSON number would lose its low bits. */
export const seedSchema = z.string().refine(isU64, 'expected a 64-bit seed as a decimal string');

export const samplingParamsSchema = z.strictObject({
  temperature: z.number().min(0, 'expected 0 to 2').max(2, 'expected 0 to 2').default(1),
  /** 0 turns it off. */
  top_k: count.default(0),
  top_p: z
    .number()
    .gt(0, 'expected more than 0, at most 1')
    .max(1, 'expected more than 0, at most 1')
    .default(1),
  min_p: z.number().min(0, 'expected 0 to less than 1').lt(1, 'expected 0 to less than 1').default(0),
  seed: seedSchema,
});
export type SamplingParams = z.infer<typeof samplingParamsSchema>;

export const draftLengthSchema = z
  .int(`expected 1 to ${MAX_DRAFT_LENGTH}`)
  .min(1, `expected 1 to ${MAX_DRAFT_LENGTH}`)
  .max(MAX_DRAFT_LENGTH, `expected 1 to ${MAX_DRAFT_LENGTH}`);
export const betaSchema = z.number().min(0, 'expected 0 to 1').max(1, 'expected 0 to 1');

export const decoderSchema = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('ar') }),
  z.strictObject({ type: z.literal('tidar'), draft_length: draftLengthSchema, beta: betaSchema.default(1) }),
]);
export type Decoder = z.infer<typeof decoderSchema>;

export const chatMessageSchema = z.strictObject({
  role: z.enum(['system', 'user', 'assistant']),
  content: z.string(),
});
export type ChatMessage = z.infer<typeof chatMessageSchema>;

export const generateInputSchema = z.discriminatedUnion('type', [
  z.strictObject({
    type: z.literal('chat'),
    messages: z.array(chatMessageSchema).min(1, 'expected a message'),
  }),
  z.strictObject({ type: z.literal('text'), text: z.string() }),
  z.strictObject({ type: z.literal('tokens'), token_ids: tokenIds.min(1, 'expected a token') }),
]);
export type GenerateInput = z.infer<typeof generateInputSchema>;

export const traceSchema = z.enum(['none', 'stats']);

/** The body of `POST /v1/generate`. */
export const generateRequestSchema = z.strictObject({
  request_id: z.string().min(1).max(128),
  model: z.string().min(1),
  input: generateInputSchema,
  /** Absent: as many as fit in the context. */
  max_tokens: z.int('expected 1 or more').min(1, 'expected 1 or more').optional(),
  stop: z.array(z.string().min(1, 'expected a non-empty string')).max(MAX_STOP_STRINGS).default([]),
  stop_token_ids: tokenIds.optional(),
  sampling: samplingParamsSchema,
  decoder: decoderSchema,
  trace: traceSchema.default('none'),
  /** What an earlier attempt generated: no template is rendered again. */
  resume: z.strictObject({ prompt_token_ids: tokenIds, token_ids: tokenIds }).optional(),
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

export const stepStatsSchema = z.object({
  rows: count,
  drafted: count,
  accepted: count,
  milliseconds: z.number().nonnegative(),
});
export type StepStats = z.infer<typeof stepStatsSchema>;

export const finishReasonSchema = z.enum(['stop', 'length']);
export type FinishReason = z.infer<typeof finishReasonSchema>;

/** First of all, once the prompt is accepted. */
export const startEventSchema = z.object({
  type: z.literal('start'),
  request_id: z.string(),
  prompt_token_ids: tokenIds,
  num_prompt_tokens: count,
  num_cached_tokens: count,
  seed: seedSchema,
  fingerprint: z.string(),
  model: z.string(),
});

/** The tokens that one forward pass decided, and the text that they complete (held-back text comes later). */
export const stepEventSchema = z.object({
  type: z.literal('step'),
  choice: z.literal(0),
  token_ids: tokenIds,
  text: z.string(),
  stats: stepStatsSchema.optional(),
});

export const endEventSchema = z.object({
  type: z.literal('end'),
  choice: z.literal(0),
  finish_reason: finishReasonSchema,
  usage: usageSchema,
});

export const errorEventSchema = z.object({ type: z.literal('error'), error: errorObjectSchema });

/** What a backend streams. Exactly one `end` or `error` closes every accepted request. */
export const generateEventSchema = z.discriminatedUnion('type', [
  startEventSchema,
  stepEventSchema,
  endEventSchema,
  errorEventSchema,
]);
export type GenerateEvent = z.infer<typeof generateEventSchema>;
export type StartEvent = z.infer<typeof startEventSchema>;
export type StepEvent = z.infer<typeof stepEventSchema>;
export type EndEvent = z.infer<typeof endEventSchema>;

export const modelInfoSchema = z.object({
  id: z.string().min(1),
  fingerprint: z.string().min(1),
  context_length: z.int().positive(),
  /** The model's trained draft length; 0 where it has no diffusion mode. */
  block_size: count,
  /** The draft length of requests that name none; 0 where it has no diffusion mode. */
  draft_length: count,
  has_tokenizer: z.boolean(),
  /** Unix time in seconds. */
  created: count,
});
export type ModelInfo = z.infer<typeof modelInfoSchema>;

/** The answer of a backend's `GET /v1/models`. */
export const modelListSchema = z.object({ models: z.array(modelInfoSchema) });
/** The answer of a backend's `GET /health`; `models` are ids. */
export const healthSchema = z.object({ status: z.enum(['ok', 'draining']), models: z.array(z.string()) });
export type Health = z.infer<typeof healthSchema>;

/** An event on the wire; its SSE id is the number of completion tokens after it. */
export function encodeGenerateEvent(event: GenerateEvent, numCompletionTokens: number): string {
  return encodeSse({ event: event.type, id: String(numCompletionTokens), data: JSON.stringify(event) });
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
