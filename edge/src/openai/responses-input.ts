import type { AssistantMessage, ChatMessage } from '@tidar/shared/chat.ts';
import { TidarError } from '@tidar/shared/errors.ts';
import type { ResponseItem, ResponseRequest } from './responses-schema.ts';

type Call = NonNullable<AssistantMessage['tool_calls']>[number];

/** What a response's request refers to without saying it: earlier answers, as their journals have them. */
export interface Recalled {
  /** The conversation that it goes on with. */
  before: readonly ChatMessage[];
  /** Answers whose items are referred to, by the ids of their requests without prefix. */
  answers: ReadonlyMap<string, AssistantMessage>;
}

export const NOTHING_RECALLED: Recalled = { before: [], answers: new Map() };

/** The bare ids of the answers whose items the input refers to. */
export function referencesOf({ input }: Pick<ResponseRequest, 'input'>): string[] {
  const items = typeof input === 'string' ? [] : input;
  const ids = items.flatMap((item) => (item.type === 'item_reference' ? [partsOf(item.id).answer] : []));
  return [...new Set(ids)];
}

/** The instructions are this response's own: those of the ones before are not among what is recalled. */
export function messagesOf(
  { instructions, input }: Pick<ResponseRequest, 'instructions' | 'input'>,
  { before, answers }: Recalled,
): ChatMessage[] {
  const chat = new Chat(before);
  if (typeof input === 'string') chat.add({ role: 'user', content: input });
  else input.forEach((item, index) => chat.item(item, `input[${index}]`, answers));
  const system = instructions == null ? [] : [{ role: 'system' as const, content: instructions }];
  return [...system, ...chat.messages];
}

/** Puts the items of one answer, which follow each other, into one message. */
class Chat {
  readonly messages: ChatMessage[];
  /** The answer that is being put together. */
  #answer: AssistantMessage | undefined;
  readonly #callIds = new Set<string>();

  constructor(before: readonly ChatMessage[]) {
    this.messages = [...before];
    for (const message of before) {
      if (message.role !== 'assistant') continue;
      for (const { id } of message.tool_calls ?? []) this.#callIds.add(id);
    }
  }

  item(item: ResponseItem, param: string, answers: Recalled['answers']): void {
    switch (item.type) {
      case 'reasoning':
        return this.#reasoning((item.content ?? []).map(({ text }) => text).join(''));
      case 'function_call':
        return this.#call({ id: item.call_id, name: item.name, arguments: item.arguments });
      case 'function_call_output':
        return this.#output(item.call_id, textOf(item.output), `${param}.call_id`);
      case 'item_reference':
        return this.#reference(item.id, param, answers);
      case 'message':
      case undefined:
        return this.#message(item.role, textOf(item.content));
    }
  }

  add(message: ChatMessage): void {
    this.#answer = undefined;
    this.messages.push(message);
  }

  #message(role: 'system' | 'developer' | 'user' | 'assistant', content: string): void {
    if (role !== 'assistant') return this.add({ role: role === 'developer' ? 'system' : role, content });
    const { content: text = '', tool_calls: calls = [] } = this.#answer ?? {};
    if (text !== '' || calls.length > 0) this.#answer = undefined;
    this.#open().content = content;
  }

  #reasoning(text: string): void {
    this.#answer = undefined;
    this.#open().reasoning = text;
  }

  #call(call: Call): void {
    (this.#open().tool_calls ??= []).push(call);
    this.#callIds.add(call.id);
  }

  #output(callId: string, content: string, param: string): void {
    if (!this.#callIds.has(callId)) {
      const message = `Invalid value for '${param}': expected the id of a call before it.`;
      throw new TidarError('invalid_request', message, { param });
    }
    this.add({ role: 'tool', content, tool_call_id: callId });
  }

  #reference(id: string, param: string, answers: Recalled['answers']): void {
    const { kind, answer, index } = partsOf(id);
    const recalled = answers.get(answer);
    const call = recalled?.tool_calls?.[index];
    if (kind === 'msg' && recalled !== undefined) return this.#message('assistant', recalled.content);
    if (kind === 'rs' && recalled?.reasoning !== undefined) return this.#reasoning(recalled.reasoning);
    if (kind === 'fc' && call !== undefined) return this.#call(call);
    const message = `Invalid value for '${param}.id': there is no such item.`;
    throw new TidarError('invalid_request', message, { param: `${param}.id` });
  }

  #open(): AssistantMessage {
    if (this.#answer === undefined) {
      this.#answer = { role: 'assistant', content: '' };
      this.messages.push(this.#answer);
    }
    return this.#answer;
  }
}

function partsOf(itemId: string): { kind: string; answer: string; index: number } {
  const [kind = '', answer = '', index = '0'] = itemId.split('_');
  return { kind, answer, index: Number(index) };
}

function textOf(content: string | readonly { text: string }[]): string {
  return typeof content === 'string' ? content : content.map(({ text }) => text).join('');
}
