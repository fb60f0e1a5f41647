import { TidarError } from '@tidar/shared/errors.ts';
import type { ChatMessage } from '@tidar/shared/chat.ts';
import type { Context } from 'hono';
import type { AppEnv } from '../env.ts';
import { accepted } from '../ledger/client.ts';
import { parseAnswerTerms } from '../openai/answer-terms.ts';
import { withParam } from '../openai/param-names.ts';
import type { Question } from '../openai/question.ts';
import { startPosition } from '../relay/position.ts';
import { attachRelay, type Caller } from './chat-relay.ts';

const RETRY_MS = 1_000;

/** The request that an answer's id names, in any of its forms. */
export function requestIdOf(id: string): string {
  return `req_${id.replace(/^(req_|chatcmpl-|cmpl-|resp_)/, '')}`;
}

/** Waits, as long as a request may take to begin, for one that somebody else relays. */
export async function waitForEnd(
  c: Context<AppEnv>,
  { ledger, key }: Caller,
  requestId: string,
): Promise<void> {
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

/** The conversation that a question goes on with: the messages of the answer that it names, then that answer. */
export async function messagesBefore(
  c: Context<AppEnv>,
  caller: Caller,
  { previousId }: Question,
): Promise<ChatMessage[]> {
  if (previousId === undefined) return [];
  try {
    return await conversationOf(c, caller, requestIdOf(previousId));
  } catch (error) {
    throw error instanceof TidarError ? withParam(error, 'previous_response_id') : error;
  }
}

/** It is read from the journal of the backend that generated it. */
async function conversationOf(c: Context<AppEnv>, caller: Caller, requestId: string): Promise<ChatMessage[]> {
  await waitForEnd(c, caller, requestId);
  const attached = await caller.ledger.attach(caller.key.secretHash, requestId);
  const attachment = accepted(attached ?? unknownRequest());
  const { numChoices, answerTerms } = attachment.terms;
  const options = { requestId, attachment, position: startPosition(numChoices) };
  const relay = await attachRelay(c, caller, options);
  let text = '';
  for await (const { event } of relay.events) if (event.type === 'step') text += event.text;
  const input = relay.options.request?.input;
  if (input?.type !== 'chat' || numChoices > 1) {
    const message = 'Only a response, or a chat completion of one choice, can be gone on with.';
    throw new TidarError('invalid_request', message);
  }
  const terms = parseAnswerTerms(answerTerms);
  const isWithInstructions = terms?.route === 'responses' && terms.hasInstructions;
  return [...input.messages.slice(isWithInstructions ? 1 : 0), { role: 'assistant', content: text }];
}

export function unknownRequest(): never {
  throw new TidarError('not_found', 'This key has no request with this id.');
}
