import { TidarError } from '@tidar/shared/errors.ts';
import { sha256Hex, utf8 } from '@tidar/shared/lease.ts';
import type { Context } from 'hono';
import type { AppEnv } from '../env.ts';
import type { ApiKey } from '../auth/api-key.ts';
import { accepted, type LedgerStub } from '../ledger/client.ts';
import type { Idempotency } from '../ledger/types.ts';

const FORM = /^[\x21-\x7e][\x20-\x7e]{0,254}$/;

/** The request's Idempotency-Key with what it was sent with; undefined if it has none. */
export async function idempotencyOf(c: Context<AppEnv>, body: string): Promise<Idempotency | undefined> {
  const key = c.req.header('idempotency-key');
  if (key === undefined) return undefined;
  if (!FORM.test(key)) {
    const message = 'The Idempotency-Key header must be 1 to 255 printable ASCII characters.';
    throw new TidarError('invalid_request', message);
  }
  const [keyHash, requestHash] = await Promise.all([
    sha256Hex(utf8(key)),
    sha256Hex(utf8(`${c.req.path}\n${body}`)),
  ]);
  return { keyHash, requestHash };
}

/** The answer of the request that came first with this Idempotency-Key; waits for it while it runs. */
export async function answerAgain(
  c: Context<AppEnv>,
  ledger: LedgerStub,
  { secretHash }: ApiKey,
  requestId: string,
): Promise<Response> {
  const deadlineMs = Date.now() + c.get('config').START_TIMEOUT_MS;
  do {
    const found = await ledger.answer(secretHash, requestId);
    if (found === undefined) throw inFlight('The first request with this Idempotency-Key failed, unbilled.');
    const answer = accepted(found);
    if (answer.state === 'broken') throw broken(requestId);
    if (answer.state === 'answered') {
      const headers = { 'content-type': answer.contentType, 'idempotent-replayed': 'true' };
      return c.body(answer.text, 200, headers);
    }
  } while (Date.now() < deadlineMs);
  throw inFlight('The first request with this Idempotency-Key still runs.');
}

/** Passes a stream on, and keeps its whole text before its last piece is sent. */
export async function* keptStream(
  chunks: AsyncGenerator<string, void, void>,
  keep: (text: string) => Promise<void>,
): AsyncGenerator<string, void, void> {
  const parts: string[] = [];
  for await (const chunk of chunks) {
    parts.push(chunk);
    if (chunk.startsWith('data: [DONE]')) await keep(parts.join(''));
    yield chunk;
  }
}

function inFlight(what: string): TidarError {
  return new TidarError('idempotency_in_flight', `${what} Send the same request again.`);
}

function broken(requestId: string): TidarError {
  const message =
    `The first request with this Idempotency-Key (${requestId}) was billed for what it had sent when it ended early, ` +
    'and its whole answer was not kept. Use a new key for a new try.';
  return new TidarError('idempotency_broken', message);
}
