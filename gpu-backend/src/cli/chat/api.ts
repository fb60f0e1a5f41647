import { stepStatsSchema } from '@tidar/shared/protocol.ts';
import { decodeSse, type SseMessage } from '@tidar/shared/sse.ts';
import { z } from 'zod';

/** What went wrong with an endpoint, in words for the person at the keyboard. */
export class ChatError extends Error {}

/** Where the API is (without `/v1`), and the key for it. */
export interface Endpoint {
  readonly url: string;
  readonly key: string;
}

const modelsSchema = z.object({
  data: z.array(
    z.object({ id: z.string(), tidar: z.object({ block_size: z.int().nonnegative() }).optional() }),
  ),
});
export type ServedModel = z.infer<typeof modelsSchema>['data'][number];

const passSchema = stepStatsSchema.extend({ token_ids: z.array(z.int()) });
/** One forward pass of an answer, as `tidar.trace` tells it. */
export type Pass = z.infer<typeof passSchema>;

const errorSchema = z.object({ error: z.object({ message: z.string() }) });
const chunkSchema = z.object({
  choices: z.array(
    z.object({
      delta: z.object({ content: z.string().nullish() }),
      finish_reason: z.string().nullable(),
    }),
  ),
  tidar: z.looseObject({ seed: z.string().optional() }).optional(),
});

/** What an answer's stream tells, piece by piece. */
export interface Piece {
  readonly text: string;
  readonly seed?: string;
  readonly pass?: Pass;
  readonly finishReason?: string;
}

export async function listModels(endpoint: Endpoint, signal: AbortSignal): Promise<ServedModel[]> {
  const response = await call(endpoint, '/v1/models', { signal });
  return modelsSchema.parse(await response.json()).data;
}

/** The answer to the body of a chat completion, as it comes. Aborted: it throws the signal's reason. */
export async function* streamChat(
  endpoint: Endpoint,
  body: object,
  signal: AbortSignal,
): AsyncGenerator<Piece, void, void> {
  const init = { method: 'POST', body: JSON.stringify({ ...body, stream: true }), signal };
  const response = await call(endpoint, '/v1/chat/completions', init);
  if (response.body === null) throw new ChatError('The endpoint sent an empty answer.');
  let isWhole = false;
  try {
    for await (const message of decodeSse(response.body)) {
      isWhole = message.data === '[DONE]';
      if (!isWhole) yield pieceOf(message);
    }
  } catch (error) {
    signal.throwIfAborted();
    throw error instanceof ChatError ? error : new ChatError(`The answer broke off: ${reasonOf(error)}.`);
  }
  if (!isWhole) throw new ChatError('The answer broke off before its end.');
}

function pieceOf({ data }: SseMessage): Piece {
  const value: unknown = JSON.parse(data);
  const failed = errorSchema.safeParse(value);
  if (failed.success) throw new ChatError(failed.data.error.message);
  const { choices, tidar } = chunkSchema.parse(value);
  const [choice] = choices;
  const pass = passSchema.safeParse(tidar);
  return {
    text: choice?.delta.content ?? '',
    ...(tidar?.seed === undefined ? {} : { seed: tidar.seed }),
    ...(pass.success ? { pass: pass.data } : {}),
    ...(choice?.finish_reason == null ? {} : { finishReason: choice.finish_reason }),
  };
}

async function call({ url, key }: Endpoint, path: string, init: RequestInit): Promise<Response> {
  const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' };
  let response: Response;
  try {
    response = await fetch(url + path, { ...init, headers });
  } catch (error) {
    init.signal?.throwIfAborted();
    throw new ChatError(`Nothing answers at ${url}: ${reasonOf(error)}. Does \`npm start\` run there?`);
  }
  if (response.ok) return response;
  throw new ChatError(await refusalOf(response));
}

/** The endpoint's own sentence, and what to do about it where that is known. */
async function refusalOf(response: Response): Promise<string> {
  const text = await response.text();
  const parsed = errorSchema.safeParse(jsonOf(text));
  const sentence = parsed.success
    ? parsed.data.error.message
    : `The endpoint answered with status ${response.status}: ${text.slice(0, 200)}`;
  const retryAfter = response.headers.get('retry-after');
  if (response.status === 401) return `${sentence} The key comes from TIDAR_API_KEY or --api-key-file.`;
  return retryAfter === null ? sentence : `${sentence} (Again in ${retryAfter} s.)`;
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function reasonOf(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  return cause instanceof Error ? cause.message || cause.name : String(cause);
}
