import { errorBody, TidarError } from '@tidar/shared/errors.ts';
import { encodeGenerateEvent } from '@tidar/shared/protocol.ts';
import type { Tokenizer } from '../model/tokenizer.ts';
import type { AnswerForm } from './answer-form.ts';
import { eventStream } from './event-stream.ts';
import type { Journal } from './journal/journal.ts';
import type { GenerationRecord } from './journal/records.ts';
import { Progress, replay } from './replay.ts';
import type { Replayed } from './replay.ts';
import type { LiveEvents } from './running-generation.ts';

const KEEP_ALIVE_MS = 10_000;
const STALL_MS = 60_000;
const SSE_HEADERS = {
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-cache, no-transform',
  'x-accel-buffering': 'no',
};

/** A generation as a reader finds it. */
export interface Found {
  readonly record: GenerationRecord;
  /** What comes after the journal's; undefined where nothing does. */
  readonly live: LiveEvents | undefined;
}

export interface ReadOptions {
  readonly journal: Journal;
  readonly tokenizer: Tokenizer | undefined;
  readonly stop: readonly string[];
  readonly form: AnswerForm | undefined;
  /** Completion tokens of each choice that the reader has. */
  readonly from: readonly number[];
  readonly found: Found;
  /** As it is now, for one who fell behind. */
  readonly findAgain: (behind: LiveEvents) => Found;
  /** He has the closing event, or left before. */
  readonly onGone: (hasAll: boolean) => void;
}

/** An answer of events, from the journal and then live, which exactly one `end` or `error` closes. */
export function readerResponse(options: ReadOptions): Response {
  const reader = new Reader(options);
  const body = eventStream(reader.encoded(), {
    keepAliveMs: KEEP_ALIVE_MS,
    stallMs: STALL_MS,
    onGone: () => reader.leave(),
  });
  return new Response(body, { headers: SSE_HEADERS });
}

class Reader {
  readonly #options: ReadOptions;
  readonly #progress: Progress;
  #found: Found;
  #hasLeft = false;

  constructor(options: ReadOptions) {
    this.#options = options;
    this.#progress = new Progress(options.from);
    this.#found = options.found;
  }

  leave(): void {
    this.#hasLeft = true;
    this.#found.live?.leave();
  }

  async *encoded(): AsyncGenerator<string, void, undefined> {
    try {
      for await (const told of this.#events()) {
        this.#progress.add(told);
        yield encodeGenerateEvent(told.event, told.counts);
      }
    } catch (error) {
      const { counts } = this.#progress;
      yield encodeGenerateEvent({ type: 'error', error: errorBody(error).error }, counts);
    } finally {
      this.#options.onGone(this.#progress.isClosed && !this.#hasLeft);
    }
  }

  /** What the journal has, then what comes live; one who cannot keep up goes back to the journal. */
  async *#events(): AsyncGenerator<Replayed, void, undefined> {
    const { journal } = this.#options;
    for (;;) {
      const { record, live } = this.#found;
      const numSteps = live?.numSteps ?? Number.MAX_SAFE_INTEGER;
      yield* replay(journal, record, { ...this.#options, numSteps, progress: this.#progress });
      if (this.#progress.isClosed) return;
      if (live === undefined) throw unknownEnd();
      for (let told = await live.next(); told !== undefined; told = await live.next()) {
        yield told;
        if (this.#progress.isClosed) return;
      }
      this.#found = this.#options.findAgain(live);
    }
  }
}

const unknownEnd = (): TidarError =>
  new TidarError('backend_unavailable', 'The backend could not keep how this text went on.');
