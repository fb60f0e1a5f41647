import { TidarError } from '@tidar/shared/errors.ts';
import type { JournalAnswer } from '@tidar/shared/journal.ts';
import { hashTokenIds } from '@tidar/shared/lease.ts';
import type { Context } from 'hono';
import { authenticate } from '../auth/authenticate.ts';
import type { AppEnv } from '../env.ts';
import { accepted, ledgerOf } from '../ledger/client.ts';
import type { Attachment, Settlement } from '../ledger/types.ts';
import { parseAnswerTerms, type ResponseTerms } from '../openai/answer-terms.ts';
import { cancelledResponse } from '../openai/responses-format.ts';
import { publicError } from '../relay/failures.ts';
import { startPosition } from '../relay/position.ts';
import { attachRelay, type Caller, callerOf, instanceOf } from './chat-relay.ts';
import { requestIdOf, unknownRequest } from './earlier-answer.ts';

/**
 * `POST /v1/responses/:id/cancel`: takes the answer over from whoever reads it, bills what there is of it, and leaves; its
 * backend stops after the grace that it has for readers.
 */
export async function postCancel(c: Context<AppEnv>): Promise<Response> {
  const [caller, requestId] = await askedOf(c);
  const attachment = await attached(caller, requestId);
  const terms = parseAnswerTerms(attachment.terms.answerTerms);
  if (terms?.route !== 'responses') {
    throw new TidarError(
      'invalid_request',
      'Only a response can be cancelled: to leave others, close their stream.',
    );
  }
  if (attachment.state === 'settled') throw hasEnded();
  const { numChoices } = attachment.terms;
  const options = { requestId, attachment, position: startPosition(numChoices) };
  const relay = await attachRelay(c, caller, options);
  try {
    // Nobody else is sent anything any more: what the journal has now is at least what was delivered.
    const journal = await instanceOf(c, caller, requestId, attachment).journal();
    if (journal.state !== 'running') throw hasEnded();
    await caller.ledger.settle(requestId, await billOf(journal, attachment));
  } catch (error) {
    throw publicError(error);
  } finally {
    await relay.leave();
  }
  const { start, options: relayed } = relay;
  const created = Math.floor(attachment.createdMs / 1000);
  const head = { requestId, created, start, numChoices, request: relayed.request };
  return c.json(cancelledResponse(head, terms satisfies ResponseTerms));
}

async function billOf(journal: JournalAnswer, { attempt }: Attachment): Promise<Settlement> {
  const { usage, token_ids: tokenIds, token_counts: counts } = journal;
  return {
    attempt,
    promptTokens: usage.prompt_tokens,
    cachedTokens: usage.cached_tokens,
    completionTokens: counts.reduce((total, count) => total + count, 0),
    numForwardPasses: usage.num_forward_passes,
    finishReason: 'cancelled',
    estimated: false,
    tokensHash: tokenIds === null ? null : await hashTokenIds(tokenIds),
  };
}

/** `DELETE /v1/responses/:id`: what is kept of the answer of any route is deleted, in the journal and in the ledger. */
export async function deleteResponse(c: Context<AppEnv>): Promise<Response> {
  const [caller, requestId] = await askedOf(c);
  const { ledger, key } = caller;
  const found = accepted((await ledger.request(key.secretHash, requestId)) ?? unknownRequest());
  if (found.request.state === 'open') {
    const message = 'This answer is still being generated: cancel it, or wait for its end.';
    throw new TidarError('conflict', message, { retryable: true, retryAfterMs: 2_000 });
  }
  const attachment = await attached(caller, requestId);
  await instanceOf(c, caller, requestId, attachment)
    .forget()
    .catch((error: unknown) => {
      throw publicError(error);
    });
  await ledger.forgetAnswer(requestId);
  return c.json({ id: c.req.param('id') ?? '', object: 'response', deleted: true });
}

async function askedOf(c: Context<AppEnv>): Promise<[caller: Caller, requestId: string]> {
  const key = await authenticate(c.req.header('authorization'), c.get('config').KEY_SECRETS);
  const caller = await callerOf(key, ledgerOf(c.env, key.keyId));
  return [caller, requestIdOf(c.req.param('id') ?? '')];
}

async function attached({ ledger, key }: Caller, requestId: string): Promise<Attachment> {
  return accepted((await ledger.attach(key.secretHash, requestId)) ?? unknownRequest());
}

function hasEnded(): TidarError {
  return new TidarError('conflict', 'This response has ended: there is nothing to cancel.');
}
