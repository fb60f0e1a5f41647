import { draftLengthSchema } from '@tidar/shared/decoder.ts';
import { seedSchema, temperatureSchema } from '@tidar/shared/protocol.ts';
import type { z } from 'zod';
import { ChatError, type ServedModel } from './api.ts';

export type ChatDecoder = 'ar' | 'tidar';
export interface Message {
  readonly role: 'system' | 'user' | 'assistant';
  readonly content: string;
}

/** How the next message is answered. */
export interface ChatSettings {
  readonly decoder: ChatDecoder;
  readonly temperature: number;
  /** Absent: each answer draws its own. */
  readonly seed: string | undefined;
  /** The most drafts of a pass; absent: the model's own. */
  readonly draftLength: number | undefined;
  readonly maxTokens: number | undefined;
}

export const hasDrafts = ({ tidar }: ServedModel): boolean => (tidar?.block_size ?? 0) > 0;

/** The body of a chat completion. */
export function requestBody(
  model: string,
  messages: readonly Message[],
  { decoder, temperature, seed, draftLength, maxTokens }: ChatSettings,
): object {
  const drafts = decoder === 'tidar' && draftLength !== undefined ? { draft_length: draftLength } : {};
  return {
    model,
    messages,
    temperature,
    ...(seed === undefined ? {} : { seed }),
    ...(maxTokens === undefined ? {} : { max_tokens: maxTokens }),
    tidar: { decoder, trace: 'stats', ...drafts },
  };
}

/** What a person typed as the value of a command or flag. */
export function readTemperature(text: string): number {
  return read(temperatureSchema, Number(text === '' ? NaN : text), 'A temperature is a number from 0 to 2');
}

/** `random`: none. */
export function readSeed(text: string): string | undefined {
  if (text === 'random') return undefined;
  return read(seedSchema, text, 'A seed is a whole number of up to 64 bits, or "random"');
}

/** `auto`: none. */
export function readDraftLength(text: string): number | undefined {
  if (text === 'auto') return undefined;
  return read(draftLengthSchema, Number(text === '' ? NaN : text), 'A draft has 1 to 64 tokens, or "auto"');
}

function read<T>(schema: z.ZodType<T>, value: unknown, expected: string): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  throw new ChatError(`${expected}.`);
}

/** The settings in one line. */
export function describeSettings({ decoder, temperature, seed, draftLength }: ChatSettings): string {
  const sampling = temperature === 0 ? 'greedy' : `temperature ${temperature}, seed ${seed ?? 'random'}`;
  const drafts = draftLength === undefined ? 'drafts as the model has them' : `drafts up to ${draftLength}`;
  return decoder === 'ar' ? `ar, ${sampling}` : `tidar, ${drafts}, ${sampling}`;
}
