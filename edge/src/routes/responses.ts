import { TidarError } from '@tidar/shared/errors.ts';
import { parse } from '@tidar/shared/parse.ts';
import type { Context } from 'hono';
import { z } from 'zod';
import { authenticate } from '../auth/authenticate.ts';
import type { AppEnv } from '../env.ts';
import { accepted, ledgerOf } from '../ledger/client.ts';
import { shapeFor } from '../openai/question.ts';
import { parsePosition, startPosition } from '../relay/position.ts';
import { invalidPlace } from './answer-again.ts';
import { chunksOf, JSON_TYPE, streamResponse, wholeOf } from './chat-answer.ts';
import { attachRelay, type Caller, callerOf } from './chat-relay.ts';
import { textParam } from './query.ts';

const RETRY_MS = 1_000;

const querySchema = z.strictObject({
  stream: z.enum(['true', 'false'], 'expected true or false').default('false'),
  /** The id of the last event that the client has. */
  starting_after: textParam.optional(),
});

/**
 * `GET /v1/responses/:id`: the answer of a chat completion or completion, by the `id` of its chunks or its `x-request-id`. As a stream
 * it goes on after any event, in place of the connection that had it before; whole it is there once it has ended.
 */
export async function getResponse(c: Context<AppEnv>): Promise<Response> {
  const key = await authenticate(c.req.header('authorization'), c.get('config').KEY_SECRETS);
  const { stream, starting_after: resumedAt } = parse(querySchema, c.req.query());
  const caller = await callerOf(key, ledgerOf(c.env, key.keyId));
  const requestId = requestIdOf(c.req.param('id') ?? '');
  if (stream === 'false') {
    if (resumedAt !== undefined) throw invalidPlace();
    await waitForEnd(c, caller, requestId);
  }
  const attachment = accepted((await caller.ledger.attach(key.secretHash, requestId)) ?? unknownRequest());
  const { numChoices, includeUsage } = attachment.terms;
  const position = resumedAt === undefined ? startPosition(numChoices) : parsePosition(resumedAt, numChoices);
  if (position === undefined) throw invalidPlace();
  const relay = await attachRelay(c, caller, { requestId, attachment, position });
  const shape = shapeFor(relay.options.request);
  const form = { shape, requestId, createdMs: attachment.createdMs, numChoices, includeUsage, resumedAt };
  if (stream === 'true') return streamResponse(c, chunksOf(relay, form), () => relay.leave());
  return c.body(await wholeOf(relay, form), 200, { 'content-type': JSON_TYPE });
}

/** Waits, as long as a request may take to begin, for one that somebody else relays. */
async function waitForEnd(c: Context<AppEnv>, { ledger, key }: Caller, requestId: string): Promise<void> {
  const deadlineMs = Date.now() + c.get('config').START_TIMEOUT_MS;
  for (;;) {
    const found = accepted((await ledger.relayed(key.secretHash, requestId)) ?? unknownRequest());
    if (!found.isRelayed) return;
    if (Date.now() >= deadlineMs) break;
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
  }
  const message = 'This answer is still being generated. Ask again, or read it as a stream with stream=true.';
  throw new TidarError('conflict', message, { retryable: true, retryAfterMs: 2_000 });
}

function requestIdOf(id: string): string {
  return `req_${id.replace(/^(req_|chatcmpl-|cmpl-)/, '')}`;
}

function unknownRequest(): never {
  throw new TidarError('not_found', 'This key has no request with this id.');
}
