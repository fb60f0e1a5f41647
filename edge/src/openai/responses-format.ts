import { type TidarError, toTidarError } from '@tidar/shared/errors.ts';
import { encodeSse } from '@tidar/shared/sse.ts';
import { startPosition } from '../relay/position.ts';
import type { AnswerEvents } from './answer.ts';
import type { AnswerFormat, AnswerHead } from './answer-format.ts';
import type { ResponseTerms } from './answer-terms.ts';
import { invalidPlace, openAiErrorBody } from './errors.ts';
import { contentOf, partOf, ResponseWriter } from './responses-object.ts';
import { GrowingOutput, type Growth, type OutputItem } from './responses-output.ts';

/** Of `POST /v1/responses`. */
export function responseFormat(terms: ResponseTerms): AnswerFormat {
  return {
    // All of it is read again: the events that end it tell the whole text.
    placeOf: (eventId) => (/^(0|[1-9]\d{0,9})$/.test(eventId) ? startPosition(1) : undefined),
    whole: (head, events) => wholeResponse(new ResponseWriter(head, terms), events),
    chunks: (head, events, { resumedAt }) => {
      const sequence = new Sequence(resumedAt === undefined ? -1 : Number(resumedAt));
      return new ResponseStream(new ResponseWriter(head, terms), sequence).chunks(events);
    },
    isLast: (chunk) => /^event: response\.(completed|incomplete)\n/.test(chunk),
    failure: (error, last) => {
      const { message, code, param } = openAiErrorBody(error).error;
      const number = Number(/^id: (\d+)$/m.exec(last)?.[1] ?? -1) + 1;
      return encode(number, 'error', { code, message, param });
    },
  };
}

/** One that was cancelled, without its text: nobody read that to its end. */
export function cancelledResponse(head: AnswerHead, terms: ResponseTerms): object {
  return new ResponseWriter(head, terms).response('cancelled', new GrowingOutput());
}

async function wholeResponse(writer: ResponseWriter, events: AnswerEvents): Promise<object> {
  const output = new GrowingOutput();
  for await (const { event } of events) output.add(event);
  return writer.response(output.status, output);
}

/**
 * Numbers the events: each by one more than the one before, a delta by as many as it has characters, so that an event
 * has the same number however often its answer is read and wherever its steps are cut.
 */
class Sequence {
  /** What the client has: all events up to this number. */
  readonly after: number;
  number = -1;

  constructor(after: number) {
    this.after = after;
  }

  *event(type: string, data: object): Generator<string, void, void> {
    this.number += 1;
    if (this.number > this.after) yield encode(this.number, type, data);
  }

  /** How many of the next characters the client has. */
  advance(numCharacters: number): number {
    const numHad = Math.min(numCharacters, Math.max(0, this.after - this.number));
    this.number += numCharacters;
    return numHad;
  }
}

/** The semantic events of one response, in OpenAI's order. */
class ResponseStream {
  readonly #writer: ResponseWriter;
  readonly #sequence: Sequence;
  readonly #output = new GrowingOutput();
  #numStepsTold = 0;

  constructor(writer: ResponseWriter, sequence: Sequence) {
    this.#writer = writer;
    this.#sequence = sequence;
  }

  async *chunks(events: AnswerEvents): AsyncGenerator<string, void, void> {
    const response = this.#writer.response('in_progress', this.#output);
    yield* this.#sequence.event('response.created', { response });
    yield* this.#sequence.event('response.in_progress', { response });
    try {
      for await (const { event } of events) {
        for (const growth of this.#output.add(event)) yield* this.#growth(growth);
      }
      yield* this.#closing();
    } catch (thrown) {
      yield* this.#failed(toTidarError(thrown));
      throw thrown;
    }
  }

  *#growth({ item, isNew, delta }: Growth): Generator<string, void, void> {
    if (isNew) {
      const before = this.#output.items[this.#indexOf(item) - 1];
      if (before !== undefined) yield* this.#done(before, 'completed');
      yield* this.#added(item);
    }
    const numHad = this.#sequence.advance(delta.length);
    if (numHad === delta.length) return;
    const rest = delta.slice(numHad);
    const steps = this.#output.steps.slice(this.#numStepsTold);
    this.#numStepsTold = this.#output.steps.length;
    const trace = steps.length === 0 ? {} : { tidar: { steps } };
    const data = { ...this.#place(item), delta: rest, ...logprobsOf(item, rest.length), ...trace };
    yield encode(this.#sequence.number, `response.${TEXTS[item.kind]}.delta`, data);
  }

  *#added(item: OutputItem): Generator<string, void, void> {
    const index = { output_index: this.#indexOf(item) };
    const begun = this.#writer.item(item, 'in_progress');
    yield* this.#sequence.event('response.output_item.added', { ...index, item: begun });
    if (item.kind === 'call') return;
    const part = partOf({ kind: item.kind, text: '', scores: undefined });
    yield* this.#sequence.event('response.content_part.added', { ...this.#place(item), part });
  }

  *#done(item: OutputItem, status: 'completed' | 'incomplete'): Generator<string, void, void> {
    const { kind, text, name, scores } = item;
    const done = kind === 'call' ? { name, arguments: text } : { text };
    const logprobs =
      kind === 'message' ? { logprobs: (scores?.within(text.length) ?? []).map(contentOf) } : {};
    const data = { ...this.#place(item), ...done, ...logprobs };
    yield* this.#sequence.event(`response.${TEXTS[kind]}.done`, data);
    const part = { ...this.#place(item), part: partOf(item) };
    if (kind !== 'call') yield* this.#sequence.event('response.content_part.done', part);
    const whole = { output_index: this.#indexOf(item), item: this.#writer.item(item, status) };
    yield* this.#sequence.event('response.output_item.done', whole);
  }

  *#closing(): Generator<string, void, void> {
    const { status, items } = this.#output;
    const last = items.at(-1);
    if (last !== undefined) yield* this.#done(last, status);
    const response = this.#writer.response(status, this.#output);
    yield* this.#sequence.event(`response.${status}`, { response });
    if (this.#sequence.after > this.#sequence.number) throw invalidPlace();
  }

  *#failed(error: TidarError): Generator<string, void, void> {
    const number = Math.max(this.#sequence.after, this.#sequence.number) + 1;
    const response = this.#writer.response('failed', this.#output, error);
    yield encode(number, 'response.failed', { response });
  }

  #place(item: OutputItem): object {
    const place = { item_id: this.#writer.idOf(item), output_index: this.#indexOf(item) };
    return item.kind === 'call' ? place : { ...place, content_index: 0 };
  }

  #indexOf(item: OutputItem): number {
    return this.#output.items.indexOf(item);
  }
}

/** What the events of an item's text are called. */
const TEXTS = {
  message: 'output_text',
  reasoning: 'reasoning_text',
  call: 'function_call_arguments',
} as const;

/** Of the last characters of a message. */
function logprobsOf({ kind, text, scores }: OutputItem, numCharacters: number): object {
  if (kind !== 'message') return {};
  return { logprobs: (scores?.take(text.length - numCharacters, text.length) ?? []).map(contentOf) };
}

function encode(sequenceNumber: number, type: string, data: object): string {
  const text = JSON.stringify({ type, sequence_number: sequenceNumber, ...data });
  return encodeSse({ event: type, id: String(sequenceNumber), data: text });
}
