import { errorBody, TidarError } from '@tidar/shared/errors.ts';
import type { GenerateEvent } from '@tidar/shared/protocol.ts';
import { encodeGenerateEvent } from '@tidar/shared/protocol.ts';
import type { Tokenizer } from '../model/tokenizer.ts';
import { eventStream } from './event-stream.ts';
import type { Journal } from './journal/journal.ts';
import type { GenerationRecord } from './journal/records.ts';
import { replay } from './replay.ts';
import type { Replayed } from './replay.ts';
import type { LiveEvents } from './running-generation.ts';

const KEEP_ALIVE_MS = 10_000;
const STALL_MS = 60_000;
const SSE_HEADERS = {
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-cache, no-transform',
  'x-accel-buffering': 'no',
};

export interface ReadOptions {
  readonly journal: Journal;
  readonly tokenizer: Tokenizer | undefined;
  /** As it was when the reader came. */
  readonly record: GenerationRecord;
  readonly stop: readonly string[];
  /** Completion tokens of each choice that the reader has. */
  readonly from: readonly number[];
  /** What comes after the journal's; undefined where nothing does. */
  readonly live: LiveEvents | undefined;
  /** The closing event was taken. */
  readonly onRead: () => void;
}

/** An answer of events, from the journal and then live, which exactly one `end` or `error` closes. */
export function readerResponse(options: ReadOptions): Response {
  const body = eventStream(encoded(options), {
    keepAliveMs: KEEP_ALIVE_MS,
    stallMs: STALL_MS,
    onGone: () => options.live?.leave(),
  });
  return new Response(body, { headers: SSE_HEADERS });
}

async function* encoded(options: ReadOptions): AsyncGenerator<string, void, undefined> {
  let counts: readonly number[] = options.from;
  try {
    for await (const told of events(options)) {
      counts = told.counts;
      yield encodeGenerateEvent(told.event, counts);
    }
    options.onRead();
  } catch (error) {
    const event: GenerateEvent = { type: 'error', error: errorBody(error).error };
    yield encodeGenerateEvent(event, counts);
  }
}

async function* events(options: ReadOptions): AsyncGenerator<Replayed, void, undefined> {
  const { journal, record, live } = options;
  const numSteps = live?.numSteps ?? Number.MAX_SAFE_INTEGER;
  yield* replay(journal, record, { ...options, numSteps });
  if (live === undefined) {
    if (record.state === 'running') throw unknownEnd();
    return;
  }
  for (;;) {
    const told = await live.next();
    yield told;
    if (told.event.type === 'end' || told.event.type === 'error') return;
  }
}

const unknownEnd = (): TidarError =>
  new TidarError('backend_unavailable', 'The backend could not keep how this text went on.');
