import { stepStatsSchema } from '@tidar/shared/protocol.ts';
import { passTraceSchema } from '@tidar/shared/trace.ts';
import { z } from 'zod';
import { ApiError, ask, askFor, errorSchema, eventsOf } from '../common/http.ts';

export const DECODERS = ['tidar', 'ar', 'speculative', 'diffusion'] as const;
export type DecoderName = (typeof DECODERS)[number];

const count = z.int().nonnegative();
const modelsSchema = z.object({
  data: z.array(
    z.object({
      id: z.string(),
      tidar: z.object({
        context_length: count,
        block_size: count,
        draft_length: count,
        /** Servers of before did not tell. */
        decoders: z.array(z.string()).optional(),
      }),
    }),
  ),
});
export interface Model {
  readonly id: string;
  readonly contextLength: number;
  readonly blockSize: number;
  readonly draftLength: number;
  readonly decoders: readonly DecoderName[];
}

export async function listModels(key: string): Promise<Model[]> {
  const { data } = await askFor(modelsSchema, '/v1/models', { token: key });
  return data.map(({ id, tidar }) => ({
    id,
    contextLength: tidar.context_length,
    blockSize: tidar.block_size,
    draftLength: tidar.draft_length,
    decoders: known(tidar.decoders ?? (tidar.block_size > 0 ? ['tidar', 'ar', 'diffusion'] : ['ar'])),
  }));
}

/** In this page's order, which begins with the best. */
const known = (names: readonly string[]): DecoderName[] => DECODERS.filter((name) => names.includes(name));

const passSchema = stepStatsSchema.extend({ trace: z.array(passTraceSchema).optional() });
/** What one step of the answer came to. */
export type Pass = z.output<typeof passSchema>;

const chunkSchema = z.object({
  choices: z.array(
    z.object({
      delta: z.object({ content: z.string().nullish() }).optional(),
      text: z.string().nullish(),
      finish_reason: z.string().nullish(),
    }),
  ),
  usage: z
    .object({
      prompt_tokens: count,
      completion_tokens: count,
      prompt_tokens_details: z.object({ cached_tokens: count }).optional(),
    })
    .nullish(),
  tidar: z.looseObject({ seed: z.string().optional() }).optional(),
});

export interface Usage {
  readonly promptTokens: number;
  readonly completionTokens: number;
  readonly cachedTokens: number;
}

/** A piece of an answer, in the order of its stream. */
export interface Piece {
  readonly text: string;
  readonly pass?: Pass;
  readonly seed?: string;
  readonly finishReason?: string;
  readonly usage?: Usage;
}

export interface ChatAsk {
  readonly path: string;
  readonly key: string;
  readonly body: object;
  readonly signal: AbortSignal;
}

/** The answer as it comes; a stream that ends before its end throws. */
export async function* streamAnswer({ path, key, body, signal }: ChatAsk): AsyncGenerator<Piece, void, void> {
  const response = await ask(path, { method: 'POST', token: key, body, signal });
  let isWhole = false;
  for await (const { data } of eventsOf(response)) {
    isWhole = data === '[DONE]';
    if (!isWhole) yield pieceOf(data);
  }
  if (!isWhole) throw new ApiError('The answer broke off before its end.', { code: 'broken_off' });
}

function pieceOf(data: string): Piece {
  const value: unknown = JSON.parse(data);
  const failed = errorSchema.safeParse(value);
  if (failed.success) {
    const { message, code } = failed.data.error;
    throw new ApiError(message, { status: 200, code: code ?? 'unknown' });
  }
  const { choices, usage, tidar } = chunkSchema.parse(value);
  const [choice] = choices;
  const pass = tidar === undefined ? undefined : passSchema.safeParse(tidar).data;
  return {
    text: choice?.delta?.content ?? choice?.text ?? '',
    ...(pass === undefined ? {} : { pass }),
    ...(tidar?.seed === undefined ? {} : { seed: tidar.seed }),
    ...(choice?.finish_reason == null ? {} : { finishReason: choice.finish_reason }),
    ...(usage == null
      ? {}
      : {
          usage: {
            promptTokens: usage.prompt_tokens,
            completionTokens: usage.completion_tokens,
            cachedTokens: usage.prompt_tokens_details?.cached_tokens ?? 0,
          },
        }),
  };
}
