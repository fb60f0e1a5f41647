import { errorBodySchema, TidarError } from '@tidar/shared/errors.ts';
import {
  type EndEvent,
  type FinishEvent,
  type GenerateEvent,
  parseGenerateEvent,
  type StartEvent,
} from '@tidar/shared/protocol.ts';
import type { StepEvent } from '@tidar/shared/protocol.ts';
import { decodeSse } from '@tidar/shared/sse.ts';
import { EventOrder } from './event-order.ts';

export interface Upstream {
  url: string;
  /** The exact bytes that the lease's request hash is of. */
  body: Uint8Array<ArrayBuffer>;
  lease: string;
  numChoices: number;
  startTimeoutMs: number;
  gapTimeoutMs: number;
}

export type RelayedEvents = AsyncGenerator<StepEvent | FinishEvent | EndEvent, void, void>;

/**
 * A generation that the backend has accepted: its `start`, then the steps and the finish of each choice and one `end`,
 * or a thrown TidarError.
 */
export interface Generation {
  start: StartEvent;
  events: RelayedEvents;
}

/** Errors between edge and backend that say nothing to a client. */
const OUR_OWN_FAULT = new Set([
  'lease_invalid',
  'lease_expired',
  'duplicate_attempt',
  'not_found',
  'invalid_json',
]);

/**
 * Starts a generation and waits for its first event, so that a refusal can still become an HTTP status.
 * `controller` ends it at any time: the backend sees its connection close.
 */
export async function openGeneration(upstream: Upstream, controller: AbortController): Promise<Generation> {
  const events = readEvents(upstream, controller);
  try {
    const first = await events.next();
    const start = first.done ? undefined : first.value;
    if (start?.type !== 'start') throw backendFailed('the first event was not start');
    return { start, events: afterStart(events, upstream.numChoices) };
  } catch (error) {
    await events.return();
    throw error;
  }
}

async function* afterStart(
  events: AsyncGenerator<GenerateEvent, void, void>,
  numChoices: number,
): RelayedEvents {
  const order = new EventOrder(numChoices);
  for await (const event of events) {
    if (event.type === 'start' || event.type === 'error')
      throw backendFailed(`an unexpected ${event.type} event`);
    const problem = order.problemWith(event);
    if (problem !== undefined) throw backendFailed(problem);
    yield event;
    if (event.type === 'end') return;
  }
  throw backendFailed('the stream broke off without end or error');
}

async function* readEvents(
  upstream: Upstream,
  controller: AbortController,
): AsyncGenerator<GenerateEvent, void, void> {
  const body = await post(upstream, controller);
  const messages = decodeSse(body);
  let timeoutMs = upstream.startTimeoutMs;
  try {
    for (;;) {
      const message = await within(timeoutMs, controller, () => messages.next());
      if (message.done) return;
      const event = parseGenerateEvent(message.value);
      if (event.type === 'error') throw publicError(TidarError.from(event.error));
      yield event;
      timeoutMs = upstream.gapTimeoutMs;
    }
  } finally {
    await messages.return().catch(() => undefined);
  }
}

async function post(upstream: Upstream, controller: AbortController): Promise<ReadableStream<Uint8Array>> {
  const response = await within(upstream.startTimeoutMs, controller, () =>
    fetch(`${upstream.url}/v1/generate`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${upstream.lease}` },
      body: upstream.body,
      signal: controller.signal,
    }),
  );
  if (!response.ok) throw await within(upstream.startTimeoutMs, controller, () => refusal(response));
  if (response.body === null) throw backendFailed('the answer has no body');
  return response.body;
}

async function refusal(response: Response): Promise<TidarError> {
  const text = await response.text();
  try {
    return publicError(TidarError.from(errorBodySchema.parse(JSON.parse(text)).error));
  } catch {
    return backendFailed(`status ${response.status}: ${text.slice(0, 500)}`);
  }
}

function publicError(error: TidarError): TidarError {
  if (!OUR_OWN_FAULT.has(error.code)) return error;
  return new TidarError(
    'internal',
    'The edge and its backend do not agree. The request id names it in the log.',
    {
      internal: `${error.code}: ${error.message}`,
      cause: error,
    },
  );
}

/** Waits for the backend, no longer than `timeoutMs`; whatever goes wrong on the way is the backend's failure. */
async function within<Value>(
  timeoutMs: number,
  controller: AbortController,
  wait: () => Promise<Value>,
): Promise<Value> {
  const silent = backendFailed(`silent for ${timeoutMs} ms`);
  const timer = setTimeout(() => controller.abort(silent), timeoutMs);
  try {
    // What ended while nobody waited ends before another event of its buffer.
    controller.signal.throwIfAborted();
    return await wait();
  } catch (error) {
    const reason: unknown = controller.signal.aborted ? controller.signal.reason : error;
    throw reason instanceof TidarError ? reason : backendFailed(String(reason));
  } finally {
    clearTimeout(timer);
  }
}

function backendFailed(internal: string): TidarError {
  return new TidarError(
    'backend_unavailable',
    'The backend failed before the answer was complete. Try again.',
    {
      internal,
    },
  );
}
