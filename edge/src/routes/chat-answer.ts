import { toTidarError } from '@tidar/shared/errors.ts';
import type { Context } from 'hono';
import type { AppEnv } from '../env.ts';
import { type Log, logError } from '../log.ts';
import type { AnswerFormat, AnswerHead } from '../openai/answer-format.ts';
import type { Relay } from '../relay/relay.ts';
import { streamOf } from '../relay/stream.ts';

export const EVENT_STREAM = 'text/event-stream; charset=utf-8';
export const JSON_TYPE = 'application/json';

export interface AnswerForm {
  format: AnswerFormat;
  requestId: string;
  createdMs: number;
  numChoices: number;
  includeUsage: boolean;
  /** Where the client has the answer already. */
  resumedAt?: string | undefined;
}

/** The chunks of an answer that is relayed. */
export function chunksOf(relay: Relay, form: AnswerForm): AsyncGenerator<string, void, void> {
  const { format, includeUsage, resumedAt } = form;
  return format.chunks(headOf(relay, form), relay.events, { includeUsage, resumedAt });
}

/** The whole answer at once, as JSON. */
export async function wholeOf(relay: Relay, form: AnswerForm): Promise<string> {
  return JSON.stringify(await form.format.whole(headOf(relay, form), relay.events));
}

function headOf(relay: Relay, { requestId, createdMs, numChoices }: AnswerForm): AnswerHead {
  const { request } = relay.options;
  return { requestId, created: Math.floor(createdMs / 1000), start: relay.start, numChoices, request };
}

/** A response of chunks; `leave` is called when the client has left. */
export function streamResponse(
  c: Context<AppEnv>,
  format: AnswerFormat,
  chunks: AsyncGenerator<string, void, void>,
  leave: () => Promise<void>,
  headers: Record<string, string> = {},
): Response {
  const stream = streamOf(withErrorChunk(chunks, format, c.get('log')), {
    keepAliveMs: c.get('config').KEEP_ALIVE_MS,
    onCancel: leave,
  });
  const sse = { 'content-type': EVENT_STREAM, 'cache-control': 'no-cache, no-transform' };
  return c.body(stream, 200, { ...sse, ...headers });
}

/** A stream that fails says so and closes without the last chunk of a whole one: its status line was sent long ago. */
async function* withErrorChunk(
  chunks: AsyncGenerator<string, void, void>,
  format: AnswerFormat,
  log: Log,
): AsyncGenerator<string, void, void> {
  let last = '';
  try {
    for await (const chunk of chunks) {
      last = chunk;
      yield chunk;
    }
  } catch (thrown) {
    const error = toTidarError(thrown);
    logError(error, log);
    yield format.failure(error, last);
  }
}
