import { toTidarError } from '@tidar/shared/errors.ts';
import { encodeSse } from '@tidar/shared/sse.ts';
import type { Context } from 'hono';
import type { AppEnv } from '../env.ts';
import { type Log, logError } from '../log.ts';
import { answerChunks, type TextAnswer, wholeAnswer } from '../openai/answer.ts';
import type { AnswerShape } from '../openai/answer-shape.ts';
import { openAiErrorBody } from '../openai/errors.ts';
import type { Relay } from '../relay/relay.ts';
import { streamOf } from '../relay/stream.ts';

export const EVENT_STREAM = 'text/event-stream; charset=utf-8';
export const JSON_TYPE = 'application/json';

export interface AnswerForm {
  shape: AnswerShape;
  requestId: string;
  createdMs: number;
  numChoices: number;
  includeUsage: boolean;
  /** Where the client has the answer already. */
  resumedAt?: string | undefined;
}

/** The chunks of an answer that is relayed. */
export function chunksOf(relay: Relay, form: AnswerForm): AsyncGenerator<string, void, void> {
  const { includeUsage, resumedAt } = form;
  return answerChunks(headOf(relay, form), relay.events, { includeUsage, resumedAt });
}

/** The whole answer at once, as JSON. */
export async function wholeOf(relay: Relay, form: AnswerForm): Promise<string> {
  return JSON.stringify(await wholeAnswer(headOf(relay, form), relay.events));
}

function headOf(relay: Relay, { shape, requestId, createdMs, numChoices }: AnswerForm): TextAnswer {
  return { shape, requestId, created: Math.floor(createdMs / 1000), start: relay.start, numChoices };
}

/** A response of chunks; `leave` is called when the client has left. */
export function streamResponse(
  c: Context<AppEnv>,
  chunks: AsyncGenerator<string, void, void>,
  leave: () => Promise<void>,
  headers: Record<string, string> = {},
): Response {
  const stream = streamOf(withErrorChunk(chunks, c.get('log')), {
    keepAliveMs: c.get('config').KEEP_ALIVE_MS,
    onCancel: leave,
  });
  const sse = { 'content-type': EVENT_STREAM, 'cache-control': 'no-cache, no-transform' };
  return c.body(stream, 200, { ...sse, ...headers });
}

/** A stream that fails says so and closes without `[DONE]`: its status line was sent long ago. */
async function* withErrorChunk(
  chunks: AsyncGenerator<string, void, void>,
  log: Log,
): AsyncGenerator<string, void, void> {
  try {
    yield* chunks;
  } catch (thrown) {
    const error = toTidarError(thrown);
    logError(error, log);
    yield encodeSse({ data: JSON.stringify(openAiErrorBody(error)) });
  }
}
