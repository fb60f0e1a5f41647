import type { AssistantMessage, ToolCallPiece } from '@tidar/shared/chat.ts';
import type {
  EndEvent,
  FinishEvent,
  FinishReason,
  StepEvent,
  TokenLogprob,
  Usage,
} from '@tidar/shared/protocol.ts';
import { traceOf } from './answer.ts';
import { Scores } from './responses-scores.ts';

/** One item of a response's output while it grows; the text of a call is its arguments. */
export interface OutputItem {
  kind: 'reasoning' | 'message' | 'call';
  /** Among those of its kind; of a call as the backend counts them. */
  index: number;
  text: string;
  /** Of a call. */
  callId: string;
  name: string;
  /** Of a message, where they are asked for. */
  scores: Scores | undefined;
}

/** What a step added to an item, which it may have begun. */
export interface Growth {
  item: OutputItem;
  isNew: boolean;
  delta: string;
}

/** What there is of a response so far. */
export class GrowingOutput {
  readonly items: OutputItem[] = [];
  /** One for each forward pass, where a trace is asked for. */
  readonly steps: object[] = [];
  finishReason: FinishReason | undefined;
  usage: Usage | undefined;
  /** Log-probabilities of tokens that came before the first text of their message. */
  #unclaimed: Scores | undefined;

  add(event: StepEvent | FinishEvent | EndEvent): Growth[] {
    if (event.type === 'step') return this.#step(event);
    if (event.type === 'end') this.usage = event.usage;
    else this.finishReason = event.finish_reason;
    // An answer without a word has an empty message.
    return event.type === 'end' && this.items.length === 0 ? [this.#grow('message', 0, '')] : [];
  }

  get status(): 'completed' | 'incomplete' {
    return this.finishReason === 'length' ? 'incomplete' : 'completed';
  }

  /** As the message of a conversation that goes on. */
  get message(): AssistantMessage {
    const textOf = (kind: OutputItem['kind']): string =>
      this.items.map((item) => (item.kind === kind ? item.text : '')).join('');
    const reasoning = textOf('reasoning');
    const calls = this.items
      .filter(({ kind }) => kind === 'call')
      .map(({ callId, name, text }) => ({ id: callId, name, arguments: text }));
    return {
      role: 'assistant',
      content: textOf('message'),
      ...(reasoning === '' ? {} : { reasoning }),
      ...(calls.length === 0 ? {} : { tool_calls: calls }),
    };
  }

  #step(event: StepEvent): Growth[] {
    const { text, reasoning = '', tool_calls: pieces = [], logprobs } = event;
    const trace = traceOf(event);
    if (trace !== undefined) this.steps.push(trace);
    const grown: Growth[] = [];
    if (reasoning !== '') grown.push(this.#grow('reasoning', 0, reasoning));
    if (text !== '') grown.push(this.#grow('message', 0, text));
    for (const piece of pieces) grown.push(this.#growCall(piece));
    if (logprobs !== undefined)
      this.#score(reasoning === '' ? logprobs : afterThought(logprobs, reasoning, text));
    return grown;
  }

  #growCall({ index, id = '', name = '', arguments: more }: ToolCallPiece): Growth {
    const growth = this.#grow('call', index, more);
    if (growth.isNew) Object.assign(growth.item, { callId: id, name });
    return growth;
  }

  #grow(kind: OutputItem['kind'], index: number, delta: string): Growth {
    const last = this.items.at(-1);
    const isNew = last?.kind !== kind || (kind === 'call' && last.index !== index);
    const item = isNew ? this.#begin(kind, index) : last;
    item.text += delta;
    return { item, isNew, delta };
  }

  #begin(kind: OutputItem['kind'], index: number): OutputItem {
    const before = this.items.filter((item) => item.kind === kind).length;
    const scores = kind === 'message' ? this.#unclaimed : undefined;
    this.#unclaimed = undefined;
    const item = { kind, index: kind === 'call' ? index : before, text: '', callId: '', name: '', scores };
    this.items.push(item);
    return item;
  }

  /** Tokens of calls come after a message's own, and end beyond its text. */
  #score(logprobs: readonly TokenLogprob[]): void {
    const message = this.items.findLast(({ kind }) => kind === 'message');
    if (message !== undefined) (message.scores ??= new Scores()).add(logprobs);
    else if (this.items.length === 0) (this.#unclaimed ??= new Scores()).add(logprobs);
  }
}

/** Where a step ends a thought and begins a text: from the text's first token on. */
function afterThought(logprobs: readonly TokenLogprob[], reasoning: string, text: string): TokenLogprob[] {
  const decoder = new TextDecoder();
  const pieces = logprobs.map(({ bytes }) => decoder.decode(Uint8Array.from(bytes ?? [])));
  const first = pieces.findIndex((_, index) => {
    const isThought = pieces.slice(0, index).join('').length < reasoning.length;
    return text !== '' && !isThought && pieces.slice(index).join('').startsWith(text);
  });
  return first === -1 ? [] : logprobs.slice(first);
}
