import { betaSchema, draftLengthSchema, planSchema } from '@tidar/shared/decoder.ts';
import { temperatureSchema } from '@tidar/shared/protocol.ts';
import { z } from 'zod';
import { DECODERS } from './api.ts';

/** What the page asks with beside the text. It travels in shared links, so that it is checked like any input. */
export const settingsSchema = z.object({
  /** Empty: the first that is served. */
  model: z.string().max(200).catch(''),
  /** `text`: the model goes on with the text as it stands. */
  form: z.enum(['chat', 'text']).catch('chat'),
  decoder: z.enum(DECODERS).catch('tidar'),
  plan: planSchema.catch('auto'),
  /** Null: the server's own choice. */
  draftLength: draftLengthSchema.nullable().catch(null),
  beta: betaSchema.catch(1),
  temperature: temperatureSchema.catch(0),
  /** Empty: another one each time. */
  seed: z
    .string()
    .regex(/^\d{0,20}$/)
    .catch(''),
  maxTokens: z.int().min(1).max(1_000_000).catch(256),
  /** The JSON schema of the answer, as it was typed; empty: none. */
  schema: z.string().max(20_000).catch(''),
});
export type Settings = z.output<typeof settingsSchema>;

export const DEFAULT_SETTINGS: Settings = settingsSchema.parse({});

export interface Message {
  readonly role: 'user' | 'assistant';
  readonly content: string;
}

export interface Prepared {
  readonly path: string;
  readonly body: Record<string, unknown>;
}

/** The request for a text after these messages. Throws SyntaxError where the schema is not JSON. */
export function requestFor(settings: Settings, model: string, messages: readonly Message[]): Prepared {
  const { form, temperature, seed, maxTokens, schema } = settings;
  const isText = form === 'text';
  const body = {
    model,
    ...(isText ? { prompt: messages.at(-1)?.content ?? '' } : { messages }),
    max_tokens: maxTokens,
    temperature,
    ...(seed === '' ? {} : { seed }),
    ...(schema.trim() === '' ? {} : { response_format: responseFormat(schema) }),
    tidar: decoderOf(settings),
  };
  return { path: isText ? '/v1/completions' : '/v1/chat/completions', body };
}

function responseFormat(schema: string): object {
  return { type: 'json_schema', json_schema: { name: 'answer', schema: JSON.parse(schema) as unknown } };
}

function decoderOf({ decoder, plan, draftLength, beta }: Settings): object {
  const length = draftLength === null ? {} : { draft_length: draftLength };
  if (decoder === 'tidar') {
    const isTrusting = beta === 1;
    return { decoder, plan: isTrusting ? plan : 'dense', ...length, ...(isTrusting ? {} : { beta }) };
  }
  return decoder === 'speculative' ? { decoder, ...length } : { decoder };
}

/** The same request as the page itself sends it: streamed, with everything told. */
export function watched({ path, body }: Prepared): Prepared {
  const { tidar } = body;
  const told = { ...(tidar as object), trace: 'full' };
  return { path, body: { ...body, stream: true, stream_options: { include_usage: true }, tidar: told } };
}
