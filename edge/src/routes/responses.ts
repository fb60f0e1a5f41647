import { TidarError } from '@tidar/shared/errors.ts';
import { parse } from '@tidar/shared/parse.ts';
import type { Context } from 'hono';
import { authenticate } from '../auth/authenticate.ts';
import type { AppEnv } from '../env.ts';
import { accepted, ledgerOf } from '../ledger/client.ts';
import { formatOf } from '../openai/answer-formats.ts';
import { parseAnswerTerms } from '../openai/answer-terms.ts';
import { invalidPlace } from '../openai/errors.ts';
import { startPosition } from '../relay/position.ts';
import { chunksOf, JSON_TYPE, streamResponse, wholeOf } from './chat-answer.ts';
import { attachRelay, callerOf } from './chat-relay.ts';
import { requestIdOf, unknownRequest, waitForEnd } from './earlier-answer.ts';
import { queryOf } from './query.ts';
import { answerQuerySchema } from './schemas.ts';

/**
 * `GET /v1/responses/:id`: the answer of any route that generates text, in the form of that route, by its `id` or its
 * `x-request-id`. As a stream it goes on after any event, in place of the connection that had it before; whole it is
 * there once it has ended.
 */
export async function getResponse(c: Context<AppEnv>): Promise<Response> {
  const key = await authenticate(c.req.header('authorization'), c.get('config').KEY_SECRETS);
  const { stream, starting_after: resumedAt } = parse(answerQuerySchema, queryOf(c));
  const caller = await callerOf(key, ledgerOf(c.env, key.keyId));
  const requestId = requestIdOf(c.req.param('id') ?? '');
  if (stream === 'false') {
    if (resumedAt !== undefined) throw onlyOfStreams();
    await waitForEnd(c, caller, requestId);
  }
  const attachment = accepted((await caller.ledger.attach(key.secretHash, requestId)) ?? unknownRequest());
  const { numChoices, includeUsage, answerTerms } = attachment.terms;
  const format = formatOf(parseAnswerTerms(answerTerms));
  const position =
    resumedAt === undefined ? startPosition(numChoices) : format.placeOf(resumedAt, numChoices);
  if (position === undefined) throw invalidPlace('starting_after');
  const relay = await attachRelay(c, caller, { requestId, attachment, position });
  const form = { format, requestId, createdMs: attachment.createdMs, numChoices, includeUsage, resumedAt };
  if (stream === 'true') return streamResponse(c, format, chunksOf(relay, form), () => relay.leave());
  return c.body(await wholeOf(relay, form), 200, { 'content-type': JSON_TYPE });
}

function onlyOfStreams(): TidarError {
  const param = 'starting_after';
  const message = `'${param}' is a place in a stream: set stream=true, or leave it out.`;
  return new TidarError('invalid_request', message, { param });
}
