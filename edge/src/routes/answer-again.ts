import { TidarError } from '@tidar/shared/errors.ts';
import type { GenerateRequest } from '@tidar/shared/protocol.ts';
import type { Context } from 'hono';
import type { AppEnv } from '../env.ts';
import { accepted, isRefused } from '../ledger/client.ts';
import type { AnswerNews, Attachment } from '../ledger/types.ts';
import { invalidPlace } from '../openai/errors.ts';
import type { Question } from '../openai/question.ts';
import { type Position, startPosition } from '../relay/position.ts';
import type { Relay } from '../relay/relay.ts';
import {
  type AnswerForm,
  chunksOf,
  EVENT_STREAM,
  JSON_TYPE,
  streamResponse,
  wholeOf,
} from './chat-answer.ts';
import { attachRelay, type Caller, poolOf } from './chat-relay.ts';
import { recall } from './earlier-answer.ts';
import { AnswerKeeper, keptStream } from './keeper.ts';
import { SseBlocks } from './sse-blocks.ts';

type News = AnswerNews & { reader: number };

/** The same request again: it gets the answer of the first, as far as that is and then as it comes. */
export class Repetition {
  readonly #c: Context<AppEnv>;
  readonly #caller: Caller;
  readonly #requestId: string;
  readonly #question: Question;
  /** Where its client has the answer: what comes before is not sent again. */
  readonly #resumeAt: string | undefined;
  #relay: Relay | undefined;

  constructor(c: Context<AppEnv>, caller: Caller, requestId: string, question: Question, resumeAt?: string) {
    this.#c = c;
    this.#caller = caller;
    this.#requestId = requestId;
    this.#question = question;
    this.#resumeAt = resumeAt;
  }

  async response(): Promise<Response> {
    if (this.#question.asked.stream !== true) return this.#whole();
    // What cannot be answered at all is still told by a status.
    const first = await this.#news(0, false);
    const leave = async (): Promise<void> => this.#relay?.leave();
    const headers = { 'idempotent-replayed': 'true' };
    return streamResponse(this.#c, this.#question.format, this.#follow(first), leave, headers);
  }

  async #whole(): Promise<Response> {
    const deadlineMs = Date.now() + this.#c.get('config').START_TIMEOUT_MS;
    do {
      const news = await this.#news(0, true);
      if (news.state === 'answered') return this.#json(news.parts.join(''));
      const attachment = news.isVacant ? await this.#attach(news.reader) : undefined;
      if (attachment !== undefined) return this.#json(await this.#wholeFrom(attachment));
    } while (Date.now() < deadlineMs);
    throw inFlight('The first request with this Idempotency-Key still runs.');
  }

  #json(text: string): Response {
    return this.#c.body(text, 200, { 'content-type': JSON_TYPE, 'idempotent-replayed': 'true' });
  }

  async #wholeFrom(attachment: Attachment): Promise<string> {
    const position = startPosition(attachment.terms.numChoices);
    const relay = await this.#takeOver(attachment, position);
    const text = await wholeOf(relay, this.#form(attachment));
    await this.#keeper(attachment, JSON_TYPE).finish(text);
    return text;
  }

  /** What was kept, and what is kept from now on; once nobody relays it any more, it is relayed from here. */
  async *#follow(first: News): AsyncGenerator<string, void, void> {
    const blocks = new SseBlocks();
    let isSkipping = this.#resumeAt !== undefined;
    for (let news = first; ; news = await this.#news(news.numParts, true)) {
      for (const { text, id } of blocks.push(news.parts.join(''))) {
        if (!isSkipping) yield text;
        if (id === this.#resumeAt) isSkipping = false;
      }
      if (news.state === 'answered' && !isSkipping) return;
      // A client that says where it has the answer has lost its connection: nobody else is waited for.
      const isWanted = news.isVacant || this.#resumeAt !== undefined;
      const expected = this.#resumeAt === undefined ? news.reader : undefined;
      const attachment = isWanted ? await this.#attach(expected) : undefined;
      if (attachment === undefined) continue;
      yield* this.#goOn(attachment, isSkipping ? this.#resumeAt : blocks.lastId, !isSkipping);
      return;
    }
  }

  async *#goOn(
    attachment: Attachment,
    resumedAt: string | undefined,
    isKept: boolean,
  ): AsyncGenerator<string, void, void> {
    const { numChoices } = attachment.terms;
    const { format } = this.#question;
    const position =
      resumedAt === undefined ? startPosition(numChoices) : format.placeOf(resumedAt, numChoices);
    if (position === undefined) throw invalidPlace();
    const relay = await this.#takeOver(attachment, position);
    const chunks = chunksOf(relay, { ...this.#form(attachment), resumedAt });
    // Where the client has more than was kept, what it gets would leave a gap there.
    yield* isKept ? keptStream(chunks, this.#keeper(attachment, EVENT_STREAM), format) : chunks;
  }

  async #takeOver(attachment: Attachment, position: Position): Promise<Relay> {
    const ask = (): Promise<GenerateRequest> => this.#request(attachment);
    const options = { requestId: this.#requestId, attachment, position, ask };
    this.#relay = await attachRelay(this.#c, this.#caller, options);
    return this.#relay;
  }

  /** The first request once more, with the seed that it was given. */
  async #request({ model, fingerprint, seed }: Attachment): Promise<GenerateRequest> {
    const [route] = await poolOf(this.#c, model).routes(this.#requestId, fingerprint);
    if (route === undefined) {
      const message = 'No backend of the same version as before can be reached. Try again soon.';
      throw new TidarError('backend_unavailable', message, { retryAfterMs: 2_000 });
    }
    const recalled = await recall(this.#c, this.#caller, this.#question);
    const request = this.#question.toGenerate(route.model, this.#requestId, recalled);
    return { ...request, sampling: { ...request.sampling, seed } };
  }

  async #news(afterPart: number, mayWait: boolean): Promise<News> {
    const { ledger, key } = this.#caller;
    const found = await ledger.answer(key.secretHash, this.#requestId, afterPart, mayWait);
    if (found === undefined) throw inFlight('The first request with this Idempotency-Key failed, unbilled.');
    const news = accepted(found);
    if (news.state === 'broken') throw broken(this.#requestId);
    return news;
  }

  /** Undefined where somebody else was quicker. */
  async #attach(expectedReader: number | undefined): Promise<Attachment | undefined> {
    const { ledger, key } = this.#caller;
    const attached = await ledger.attach(key.secretHash, this.#requestId, expectedReader);
    if (attached !== undefined && isRefused(attached) && attached.error.code === 'stream_taken_over')
      return undefined;
    return attached && accepted(attached);
  }

  #keeper({ reader }: Attachment, contentType: string): AnswerKeeper {
    return new AnswerKeeper(this.#caller.ledger, this.#requestId, reader, contentType);
  }

  #form({ createdMs, terms }: Attachment): AnswerForm {
    const { numChoices, includeUsage } = terms;
    const { format } = this.#question;
    return { format, requestId: this.#requestId, createdMs, numChoices, includeUsage };
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
