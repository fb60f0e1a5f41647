import { TidarError, toTidarError } from '@tidar/shared/errors.ts';
import { encodeSse } from '@tidar/shared/sse.ts';
import { startPosition } from '../relay/position.ts';
import type { AnswerEvents } from './answer.ts';
import type { AnswerFormat, AnswerHead } from './answer-format.ts';
import type { ResponseTerms } from './answer-terms.ts';
import { openAiErrorBody } from './errors.ts';
import { GrowingText } from './responses-text.ts';
import { contentOf, EMPTY_TEXT, partOf, ResponseWriter, statusOf } from './responses-object.ts';

/**
 * Numbers of the events before the text. That of a delta is the last of them and the characters that there are with
 * it, so that an event has the same number however often its answer is read and wherever its steps are cut.
 */
const [CREATED, IN_PROGRESS, ITEM_ADDED, PART_ADDED] = [0, 1, 2, 3];

/** Of `POST /v1/responses`. */
export function responseFormat(terms: ResponseTerms): AnswerFormat {
  return {
    // All of it is read again: the events that end it tell the whole text.
    placeOf: (eventId) => (/^(0|[1-9]\d{0,9})$/.test(eventId) ? startPosition(1) : undefined),
    whole: (head, events) => wholeResponse(new ResponseWriter(head, terms), events),
    chunks: (head, events, { resumedAt }) => {
      const after = resumedAt === undefined ? -1 : Number(resumedAt);
      return new ResponseStream(head, terms, after).chunks(events);
    },
    isLast: (chunk) => /^event: response\.(completed|incomplete)\n/.test(chunk),
    failure: (error, last) => {
      const { message, code, param } = openAiErrorBody(error).error;
      const number = Number(/^id: (\d+)$/m.exec(last)?.[1] ?? -1) + 1;
      return encode(number, 'error', { code, message, param });
    },
  };
}

async function wholeResponse(writer: ResponseWriter, events: AnswerEvents): Promise<object> {
  const growing = new GrowingText();
  for await (const { event } of events) growing.add(event);
  return writer.response(statusOf(growing), growing);
}

/** The semantic events of one response, in OpenAI's order, from the one after `after` on. */
class ResponseStream {
  readonly #writer: ResponseWriter;
  readonly #after: number;
  readonly #text = new GrowingText();

  constructor(head: AnswerHead, terms: ResponseTerms, after: number) {
    this.#writer = new ResponseWriter(head, terms);
    this.#after = after;
  }

  async *chunks(events: AnswerEvents): AsyncGenerator<string, void, void> {
    yield* this.#opening();
    try {
      for await (const { event } of events) {
        this.#text.add(event);
        if (event.type === 'step') yield* this.#delta();
      }
      yield* this.#closing();
    } catch (thrown) {
      yield* this.#failed(toTidarError(thrown));
      throw thrown;
    }
  }

  *#opening(): Generator<string, void, void> {
    const response = this.#writer.response('in_progress', EMPTY_TEXT);
    yield* this.#event(CREATED, 'response.created', { response });
    yield* this.#event(IN_PROGRESS, 'response.in_progress', { response });
    const item = this.#writer.item('in_progress', EMPTY_TEXT);
    yield* this.#event(ITEM_ADDED, 'response.output_item.added', { output_index: 0, item });
    const part = partOf({ text: '', logprobs: undefined });
    yield* this.#event(PART_ADDED, 'response.content_part.added', { ...this.#place(), part });
  }

  *#delta(): Generator<string, void, void> {
    const news = this.#text.take(this.#after - PART_ADDED);
    if (news === undefined) return;
    const { delta, logprobs, steps } = news;
    yield* this.#event(PART_ADDED + this.#text.text.length, 'response.output_text.delta', {
      ...this.#place(),
      delta,
      logprobs: logprobs.map(contentOf),
      ...(steps.length === 0 ? {} : { tidar: { steps } }),
    });
  }

  *#closing(): Generator<string, void, void> {
    const told = this.#text;
    const last = PART_ADDED + told.text.length;
    const status = statusOf(told);
    if (this.#after > last + 4) throw noSuchPlace();
    const logprobs = (told.logprobs ?? []).map(contentOf);
    const done = { ...this.#place(), text: told.text, logprobs };
    yield* this.#event(last + 1, 'response.output_text.done', done);
    const part = partOf(told);
    yield* this.#event(last + 2, 'response.content_part.done', { ...this.#place(), part });
    const item = this.#writer.item(status, told);
    yield* this.#event(last + 3, 'response.output_item.done', { output_index: 0, item });
    const response = this.#writer.response(status, told);
    yield* this.#event(last + 4, `response.${status}`, { response });
  }

  *#failed(error: TidarError): Generator<string, void, void> {
    const number = Math.max(this.#after, PART_ADDED + this.#text.text.length) + 1;
    const response = this.#writer.response('failed', this.#text, error);
    yield* this.#event(number, 'response.failed', { response });
  }

  #place(): object {
    return { item_id: this.#writer.itemId, output_index: 0, content_index: 0 };
  }

  *#event(sequenceNumber: number, type: string, data: object): Generator<string, void, void> {
    if (sequenceNumber > this.#after) yield encode(sequenceNumber, type, data);
  }
}

function encode(sequenceNumber: number, type: string, data: object): string {
  const text = JSON.stringify({ type, sequence_number: sequenceNumber, ...data });
  return encodeSse({ event: type, id: String(sequenceNumber), data: text });
}

function noSuchPlace(): TidarError {
  const message = 'The place to go on from is not one of this answer: give the id of an event that it had.';
  return new TidarError('invalid_request', message);
}
