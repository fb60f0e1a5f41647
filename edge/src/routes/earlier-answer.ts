import { TidarError } from '@tidar/shared/errors.ts';
import type { AssistantMessage, ChatMessage } from '@tidar/shared/chat.ts';
import type { Context } from 'hono';
import type { AppEnv } from '../env.ts';
import { accepted } from '../ledger/client.ts';
import { parseAnswerTerms } from '../openai/answer-terms.ts';
import { withParam } from '../openai/param-names.ts';
import type { Question } from '../openai/question.ts';
import { NOTHING_RECALLED, type Recalled } from '../openai/responses-input.ts';
import { GrowingOutput } from '../openai/responses-output.ts';
import { startPosition } from '../relay/position.ts';
import { attachRelay, type Caller } from './chat-relay.ts';

const RETRY_MS = 1_000;
/** Each is read from a journal. */
const MAX_REFERENCES = 32;

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

/** What a question refers to of earlier answers of the same key. */
export async function recall(c: Context<AppEnv>, caller: Caller, { refersTo }: Question): Promise<Recalled> {
  if (refersTo === undefined) return NOTHING_RECALLED;
  const { previous, answers } = refersTo;
  if (answers.length > MAX_REFERENCES) {
    const message = `'input' refers to items of ${answers.length} answers, more than ${MAX_REFERENCES}: send them.`;
    throw new TidarError('invalid_request', message, { param: 'input' });
  }
  const read = (id: string, param: string): Promise<Conversation> =>
    conversationOf(c, caller, requestIdOf(id)).catch((error: unknown) => {
      throw error instanceof TidarError ? withParam(error, param) : error;
    });
  const before = previous === undefined ? undefined : await read(previous, 'previous_response_id');
  const recalled = await Promise.all(answers.map((id) => read(id, 'input')));
  return {
    before: before === undefined ? [] : [...before.messages, before.answer],
    answers: new Map(recalled.map(({ answer }, index) => [answers[index] ?? '', answer])),
  };
}

interface Conversation {
  messages: ChatMessage[];
  answer: AssistantMessage;
}

/** An answer and what it was an answer to, as the journal of the backend that generated it has them. */
async function conversationOf(c: Context<AppEnv>, caller: Caller, requestId: string): Promise<Conversation> {
  await waitForEnd(c, caller, requestId);
  const attached = await caller.ledger.attach(caller.key.secretHash, requestId);
  const attachment = accepted(attached ?? unknownRequest());
  const { numChoices, answerTerms } = attachment.terms;
  const options = { requestId, attachment, position: startPosition(numChoices) };
  const relay = await attachRelay(c, caller, options);
  const output = new GrowingOutput();
  for await (const { event } of relay.events) output.add(event);
  const input = relay.options.request?.input;
  if (input?.type !== 'chat' || numChoices > 1) {
    const message = 'Only a response, or a chat completion of one choice, can be gone on with.';
    throw new TidarError('invalid_request', message);
  }
  const terms = parseAnswerTerms(answerTerms);
  const isWithInstructions = terms?.route === 'responses' && terms.hasInstructions;
  return { messages: input.messages.slice(isWithInstructions ? 1 : 0), answer: output.message };
}

export function unknownRequest(): never {
  throw new TidarError('not_found', 'This key has no request with this id.');
}
