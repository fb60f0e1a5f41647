import { TidarError } from '@tidar/shared/errors.ts';
import type { LeasePayload } from '@tidar/shared/lease.ts';
import { parseJson } from '@tidar/shared/parse.ts';
import type { GenerateRequest, ModelInfo } from '@tidar/shared/protocol.ts';
import { generateRequestSchema } from '@tidar/shared/protocol.ts';
import type { Backend } from './backend.ts';
import { eventStream } from './event-stream.ts';
import { Generation } from './generation.ts';
import { checkLease, checkLeaseCovers } from './lease-gate.ts';
import type { PreparedRequest } from './prompt.ts';
import { prepareRequest } from './prompt.ts';

const KEEP_ALIVE_MS = 10_000;
const STALL_MS = 60_000;
const MAX_TIMER_MS = 2 ** 31 - 1;

/** A request that passed every check; nothing is started yet. */
interface CheckedRequest {
  readonly model: ModelInfo;
  readonly request: GenerateRequest;
  readonly lease: LeasePayload;
  readonly prepared: PreparedRequest;
}

/**
 * `POST /v1/generate`. What is wrong before the start throws, and becomes an HTTP error; from then on the answer is a
 * stream of events that exactly one `end` or `error` closes.
 */
export async function handleGenerate(backend: Backend, httpRequest: Request): Promise<Response> {
  const receivedAt = performance.now();
  backend.streams.assertTaking();
  const { model, request, lease, prepared } = await checkRequest(backend, httpRequest);
  // From here to the registration nothing is awaited: two copies of a lease can't both pass.
  backend.attempts.assertNew(lease.request_id, lease.attempt);
  const stream = backend.streams.open();
  const engineEvents = openInEngine(backend, prepared, stream);
  backend.attempts.add(lease.request_id, lease.attempt, lease.expires_at_ms);
  const expiry = setTimeout(
    () => stream.abort(leaseExpired()),
    Math.min(lease.expires_at_ms - Date.now(), MAX_TIMER_MS),
  );
  const close = (): void => {
    clearTimeout(expiry);
    backend.streams.close(stream);
  };
  const events = new Generation(backend, model, request, prepared, receivedAt).events(engineEvents);
  const body = eventStream(closing(events, close), {
    keepAliveMs: KEEP_ALIVE_MS,
    stallMs: STALL_MS,
    // A client that leaves cancels at once; its grace comes with the journal, which could tell it the rest.
    onGone: () => stream.abort(new TidarError('cancelled', 'The client left.')),
  });
  return new Response(body, { headers: SSE_HEADERS });
}

const SSE_HEADERS = {
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-cache, no-transform',
  'x-accel-buffering': 'no',
};

async function checkRequest(backend: Backend, httpRequest: Request): Promise<CheckedRequest> {
  const { model, folder, config, instance } = backend;
  const body = new Uint8Array(await httpRequest.arrayBuffer());
  const gate = { secrets: config.leaseSecrets, instance, fingerprint: model.fingerprint };
  const authorization = httpRequest.headers.get('authorization') ?? undefined;
  const lease = await checkLease(gate, 'generate', authorization, body);
  const request = parseJson(generateRequestSchema, decodeUtf8(body));
  await checkLeaseCovers(lease, request);
  if (request.model !== model.id) {
    throw new TidarError('model_not_found', `This backend serves ${model.id}, not ${request.model}.`, {
      param: 'model',
    });
  }
  return { model, request, lease, prepared: prepareRequest(folder, request, lease) };
}

function openInEngine(
  backend: Backend,
  { engineRequest }: PreparedRequest,
  stream: AbortController,
): ReturnType<Backend['engine']['generate']> {
  try {
    return backend.engine.generate(engineRequest, stream.signal);
  } catch (error) {
    backend.streams.close(stream);
    throw error;
  }
}

/** The same events; `close` is called when they have ended. */
async function* closing(
  events: AsyncIterable<string>,
  close: () => void,
): AsyncGenerator<string, void, undefined> {
  yield* events;
  close();
}

function leaseExpired(): TidarError {
  return new TidarError(
    'lease_expired',
    'The lease expired before the text was complete; resume it with a new one.',
  );
}

function decodeUtf8(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new TidarError('invalid_json', 'The body is not valid UTF-8.');
  }
}
