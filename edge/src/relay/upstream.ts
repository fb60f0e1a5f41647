import { errorBodySchema, type ErrorObject, TidarError } from '@tidar/shared/errors.ts';
import {
  type EndEvent,
  type FinishEvent,
  type GenerateEvent,
  parseGenerateEvent,
  type StartEvent,
  type StepEvent,
} from '@tidar/shared/protocol.ts';
import { decodeSse, type SseMessage } from '@tidar/shared/sse.ts';
import { textOf } from './bounded-body.ts';
import { EventOrder, problemWithStart, type StartOf } from './event-order.ts';
import { CLIENT_LEFT, errorOfBackend, ProtocolBreach, Unreachable } from './failures.ts';

/** So often in a row a backend may be late to say that it is there. */
const MAX_LATE = 3;
const MAX_REFUSAL_BYTES = 64 * 1024;

export interface Timeouts {
  /** How long a backend may leave open whether it is there. */
  connectMs: number;
  /** Until the first event, the queue included. */
  startMs: number;
  /** Between two events. */
  gapMs: number;
}

/** One POST to a backend that is answered by a stream of events. */
export interface UpstreamRequest {
  /** The instance's address. */
  backend: string;
  path: string;
  /** The exact bytes that the lease's request hash is of. */
  body: Uint8Array<ArrayBuffer>;
  headers: Readonly<Record<string, string>>;
  numChoices: number;
  /** What its start must name. */
  of: StartOf;
  timeouts: Timeouts;
}

export type UpstreamEvents = AsyncGenerator<StepEvent | FinishEvent | EndEvent, void, void>;

/**
 * A stream that the backend has begun: its `start`, then the steps and the finish of each choice and one `end`, or
 * what was thrown: `Unreachable`, `ProtocolBreach`, or the backend's own TidarError.
 */
export interface Upstream {
  start: StartEvent;
  events: UpstreamEvents;
}

/**
 * Posts and waits for the first event, so that a refusal can still become an HTTP status. When `outer` is aborted the
 * connection ends, and so it does when the reader of the events leaves early.
 */
export async function openUpstream(request: UpstreamRequest, outer: AbortSignal): Promise<Upstream> {
  const connection = new Connection(request, outer);
  const events = connection.events();
  try {
    const first = await events.next();
    const start = first.done ? undefined : first.value;
    if (start === undefined) throw new Unreachable('the stream broke off before start');
    if (start.type !== 'start') throw new ProtocolBreach('the first event was not start');
    const problem = problemWithStart(start, request.of);
    if (problem !== undefined) throw new ProtocolBreach(problem);
    return { start, events: afterStart(events, request.numChoices) };
  } catch (error) {
    await events.return();
    if (!(error instanceof Unreachable) || !connection.hasAnswered) throw error;
    throw new Unreachable(error.message, { isSilent: error.isSilent, hadTaken: true });
  }
}

async function* afterStart(
  events: AsyncGenerator<GenerateEvent, void, void>,
  numChoices: number,
): UpstreamEvents {
  const order = new EventOrder(numChoices);
  for await (const event of events) {
    if (event.type === 'start' || event.type === 'error')
      throw new ProtocolBreach(`an unexpected ${event.type} event`);
    const problem = order.problemWith(event);
    if (problem !== undefined) throw new ProtocolBreach(problem);
    yield event;
    if (event.type === 'end') return;
  }
  throw new Unreachable('the stream broke off without end or error');
}

/** One connection, ended by its time-outs, by its reader, or from outside. */
class Connection {
  readonly #request: UpstreamRequest;
  readonly #controller = new AbortController();
  readonly #unlink: () => void;
  /** The head of an answer has come. */
  hasAnswered = false;

  constructor(request: UpstreamRequest, outer: AbortSignal) {
    this.#request = request;
    const abort = (): void => this.#controller.abort(outer.reason);
    if (outer.aborted) abort();
    outer.addEventListener('abort', abort);
    this.#unlink = () => outer.removeEventListener('abort', abort);
  }

  async *events(): AsyncGenerator<GenerateEvent, void, void> {
    const { startMs, gapMs } = this.#request.timeouts;
    try {
      const messages = readable(await this.#post(), this.#controller.signal);
      let timeoutMs = startMs;
      try {
        for (;;) {
          const message = await this.#within(timeoutMs, () => messages.next());
          if (message.done) return;
          const event = parsed(message.value);
          if (event.type === 'error') throw errorOfBackend(event.error);
          yield event;
          timeoutMs = gapMs;
        }
      } finally {
        await messages.return().catch(() => undefined);
      }
    } finally {
      this.#unlink();
      this.#controller.abort(CLIENT_LEFT);
    }
  }

  async #post(): Promise<ReadableStream<Uint8Array>> {
    const { backend, path, headers, body, timeouts } = this.#request;
    const watch = { isOver: false };
    void this.#watchAlive(watch);
    // A body is cancelled by who reads it: workerd never frees one whose request was aborted while it was read.
    const request = new AbortController();
    const abort = (): void => request.abort(this.#controller.signal.reason);
    this.#controller.signal.addEventListener('abort', abort);
    try {
      const response = await this.#within(timeouts.startMs, () =>
        fetch(backend + path, {
          method: 'POST',
          headers,
          body,
          // Where the lease goes is decided here.
          redirect: 'manual',
          signal: request.signal,
        }),
      );
      if (!response.ok) throw await this.#within(timeouts.startMs, () => refusal(response));
      if (response.body === null) throw new Unreachable('the answer has no body');
      this.hasAnswered = true;
      return response.body;
    } finally {
      watch.isOver = true;
      this.#controller.signal.removeEventListener('abort', abort);
    }
  }

  /** A backend may take long to begin, in its queue; so whether it is there at all is asked beside. */
  async #watchAlive(watch: Readonly<{ isOver: boolean }>): Promise<void> {
    const { backend, timeouts } = this.#request;
    for (let numLate = 0; ;) {
      await new Promise((resolve) => setTimeout(resolve, timeouts.connectMs));
      if (watch.isOver || this.#controller.signal.aborted) return;
      try {
        const response = await fetch(`${backend}/health`, {
          redirect: 'manual',
          signal: AbortSignal.timeout(timeouts.connectMs),
        });
        await response.body?.cancel();
        numLate = 0;
      } catch (error) {
        // Busy is not gone: only who is late again and again.
        const isLate = error instanceof DOMException && error.name === 'TimeoutError';
        if (isLate && (numLate += 1) < MAX_LATE) continue;
        if (!watch.isOver) this.#controller.abort(new Unreachable(`no answer to /health: ${String(error)}`));
      }
    }
  }

  /** Waits for the backend, no longer than `timeoutMs`; whatever goes wrong on the way is the connection's failure. */
  async #within<Value>(timeoutMs: number, wait: () => Promise<Value>): Promise<Value> {
    const { signal } = this.#controller;
    // Made only when it happens: an error costs its stack, and every event comes through here.
    const silent = (): Unreachable => new Unreachable(`silent for ${timeoutMs} ms`, { isSilent: true });
    const timer = setTimeout(() => this.#controller.abort(silent()), timeoutMs);
    try {
      // What ended while nobody waited ends before another event of its buffer.
      signal.throwIfAborted();
      const value = await wait();
      signal.throwIfAborted();
      return value;
    } catch (error) {
      const reason: unknown = signal.aborted ? signal.reason : error;
      if (reason instanceof TidarError || reason instanceof Unreachable || reason instanceof ProtocolBreach)
        throw reason;
      throw new Unreachable(String(reason));
    } finally {
      clearTimeout(timer);
    }
  }
}

function parsed(message: Parameters<typeof parseGenerateEvent>[0]): GenerateEvent {
  try {
    return parseGenerateEvent(message);
  } catch (error) {
    throw new ProtocolBreach(error instanceof TidarError ? (error.internal ?? error.message) : String(error));
  }
}

/** The messages; what its decoder refuses is the backend's breach. */
async function* readable(
  stream: ReadableStream<Uint8Array>,
  signal: AbortSignal,
): AsyncGenerator<SseMessage, void, void> {
  try {
    yield* decodeSse(stream, { isStrict: true, signal });
  } catch (error) {
    throw error instanceof TidarError ? new ProtocolBreach(error.message) : error;
  }
}

async function refusal(response: Response): Promise<Error> {
  const text = await textOf(response, MAX_REFUSAL_BYTES);
  let object: ErrorObject;
  try {
    object = errorBodySchema.parse(JSON.parse(text)).error;
  } catch {
    return new Unreachable(`status ${response.status}: ${text.slice(0, 500)}`);
  }
  return errorOfBackend(object);
}
