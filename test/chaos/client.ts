import { setTimeout as sleep } from 'node:timers/promises';
import { SseDecoder, type SseMessage } from '@tidar/shared/sse.ts';
import type { Chunk, Completion } from '../support/openai-http.ts';
import { type Ask, bodyOf } from './asks.ts';
import type { ClientStory, Delivery, Oracle, Outcome } from './facts.ts';
import type { ClientPlan } from './plan.ts';
import type { Say } from './trace.ts';

const RETRY_MS = 300;
/** No single connection is waited for longer than that without a byte. */
const SILENCE_MS = 30_000;

export interface ClientOptions {
  plan: ClientPlan;
  ask: Ask;
  oracle: Oracle;
  /** Where this client reaches the edge. */
  url: string;
  apiKey: string;
  idempotencyKey: string | undefined;
  /** When the client gives up: a lost one. */
  deadline: AbortSignal;
  /** So long it asks again where an error says that it should; then that is its answer. */
  patienceMs: number;
  say: Say;
}

/** What one connection came to. */
type Ending =
  { kind: 'whole' } | { kind: 'error'; code: string; message: string } | { kind: 'broken' | 'left' };

/** A client as a careful one is: it asks again where its connection broke, and says where it was. */
export class Client {
  readonly #options: ClientOptions;
  readonly #deliveries = new Map<string, Delivery>();
  readonly #breaches: string[] = [];
  #numPosts = 0;
  #numConnections = 0;
  #numChunks = 0;
  #hasLeft = false;
  #lastId: string | undefined;
  /** Of the answer that it has a part of. */
  #requestId: string | undefined;

  constructor(options: ClientOptions) {
    this.#options = options;
  }

  async run(): Promise<ClientStory> {
    const { plan, say } = this.#options;
    await sleep(plan.startMs);
    const outcome = await this.#outcome();
    say(`${plan.name} ends: ${JSON.stringify(outcome)}`);
    const { name: client, ask, hasKey } = plan;
    const deliveries = [...this.#deliveries.values()];
    const breaches = this.#breaches;
    return {
      client,
      ask,
      hasKey,
      numPosts: this.#numPosts,
      numConnections: this.#numConnections,
      oracle: this.#options.oracle,
      deliveries,
      outcome,
      breaches,
    };
  }

  async #outcome(): Promise<Outcome> {
    const { plan, deadline, patienceMs, say } = this.#options;
    const startedAt = performance.now();
    let why = 'never asked';
    for (let isFirst = true; !deadline.aborted; isFirst = false) {
      const ending = await this.#connect(isFirst).catch((error: unknown): Ending => {
        why = String(error instanceof Error ? (error.cause ?? error) : error);
        return { kind: 'broken' };
      });
      if (ending.kind === 'whole') return ending;
      const isPatient = performance.now() - startedAt < patienceMs;
      if (ending.kind === 'error' && !(isPatient && isRetried(ending.code))) return ending;
      if (ending.kind === 'error') why = `${ending.code}: ${ending.message}`;
      if (ending.kind === 'left') {
        say(`${plan.name} leaves at ${this.#lastId ?? 'nothing'}`);
        if (plan.returnAfterMs === undefined) return { kind: 'left' };
        await sleep(plan.returnAfterMs);
      } else await sleep(RETRY_MS);
      if (ending.kind === 'broken') say(`${plan.name} is cut off at ${this.#lastId ?? 'nothing'}: ${why}`);
    }
    return { kind: 'nothing', why };
  }

  /** The first time as planned, then by the way in which it comes back. */
  async #connect(isFirst: boolean): Promise<Ending> {
    const { returnBy } = this.#options.plan;
    const id = this.#requestId;
    const isByKey = this.#options.plan.hasKey && (returnBy === 'again' || returnBy === 'last-event-id');
    if (isFirst || isByKey || id === undefined) {
      const isGoingOn = !isFirst && returnBy === 'last-event-id' && this.#lastId !== undefined;
      if (!isGoingOn) this.#forget();
      return this.#post(isGoingOn ? { 'last-event-id': this.#lastId ?? '' } : {});
    }
    const isStream = returnBy !== 'whole';
    const after = this.#lastId === undefined ? '' : `&starting_after=${this.#lastId}`;
    if (!isStream || this.#lastId === undefined) this.#forget();
    return this.#get(`/v1/responses/${id}${isStream ? `?stream=true${after}` : ''}`, isStream);
  }

  /** The next answer begins at its beginning: what was had of it stays on record as the furthest. */
  #forget(): void {
    this.#lastId = undefined;
  }

  #post(more: Record<string, string>): Promise<Ending> {
    const { plan, ask, idempotencyKey } = this.#options;
    this.#numPosts += 1;
    const body = bodyOf(ask, { stream: plan.isStream, decoder: plan.decoder, name: plan.ask });
    const headers = { ...more };
    if (idempotencyKey !== undefined) headers['idempotency-key'] = idempotencyKey;
    const init = { method: 'POST', headers, body: JSON.stringify(body) };
    return this.#exchange('/v1/chat/completions', init, plan.isStream);
  }

  #get(path: string, isStream: boolean): Promise<Ending> {
    return this.#exchange(path, { headers: {} }, isStream);
  }

  async #exchange(
    path: string,
    init: { method?: string; headers: Record<string, string>; body?: string },
    isStream: boolean,
  ): Promise<Ending> {
    const { url, apiKey, deadline } = this.#options;
    const controller = new AbortController();
    const signal = AbortSignal.any([controller.signal, deadline]);
    const authorization = `Bearer ${apiKey}`;
    const headers = {
      authorization,
      'content-type': 'application/json',
      connection: 'close',
      ...init.headers,
    };
    const response = await fetch(url + path, { ...init, headers, signal });
    this.#numConnections += 1;
    try {
      if (!response.ok) return errorOf(await response.json());
      return isStream
        ? await this.#stream(response)
        : await this.#whole((await response.json()) as Completion);
    } finally {
      controller.abort();
    }
  }

  async #whole(answer: Completion): Promise<Ending> {
    const { oracle } = this.#options;
    const delivery = this.#deliveryOf(answer.id);
    delivery.texts = answer.choices.map(({ message }) => message.content);
    if (answer.usage.completion_tokens !== oracle.completionTokens)
      this.#breach(
        `usage says ${answer.usage.completion_tokens} tokens, and there are ${oracle.completionTokens}`,
      );
    delivery.tokens = [...oracle.tokens];
    answer.choices.forEach(({ finish_reason: reason }, index) => this.#checkFinish(index, reason));
    return { kind: 'whole' };
  }

  async #stream(response: Response): Promise<Ending> {
    const decoder = new SseDecoder();
    const { readPieceMs, leaveAfterChunks } = this.#options.plan;
    const body: ReadableStream<Uint8Array> | null = response.body;
    if (body === null) throw new Error('the answer has no body');
    const reader = body.getReader();
    const part: Part = { begun: this.#lastId !== undefined, ending: undefined };
    for (;;) {
      const { done, value } = await within(SILENCE_MS, reader.read());
      if (done) return part.ending ?? { kind: 'broken' };
      for (const message of decoder.push(value)) this.#take(message, part);
      const isLeaving =
        !this.#hasLeft && leaveAfterChunks !== undefined && this.#numChunks >= leaveAfterChunks;
      if (isLeaving && part.ending === undefined) {
        this.#hasLeft = true;
        return { kind: 'left' };
      }
      if (readPieceMs > 0) await sleep(readPieceMs);
    }
  }

  #take(message: SseMessage, part: Part): void {
    if (part.ending !== undefined) return this.#breach(`after its end: ${message.data}`);
    if (message.data === '[DONE]') {
      part.ending = { kind: 'whole' };
      return;
    }
    const chunk = JSON.parse(message.data) as Chunk;
    if (chunk.error !== undefined) {
      part.ending = { kind: 'error', code: chunk.error.code, message: chunk.error.message };
      return;
    }
    this.#numChunks += 1;
    const delivery = this.#deliveryOf(chunk.id);
    if (!part.begun) {
      // This connection tells the answer from its beginning once more.
      delivery.texts = delivery.texts.map(() => '');
      part.begun = true;
    }
    for (const { index, delta, finish_reason: reason } of chunk.choices) {
      delivery.texts[index] += delta.content ?? '';
      if (reason !== null) this.#checkFinish(index, reason);
    }
    if (message.id === undefined) return this.#breach('a chunk without an id');
    this.#lastId = message.id;
    const counts = message.id.split(',').map((count) => Math.trunc(Number(count)));
    delivery.tokens = delivery.tokens.map((count, choice) => Math.max(count, counts[choice] ?? 0));
    const { usage } = chunk;
    const { completionTokens } = this.#options.oracle;
    if (usage != null && usage['completion_tokens'] !== completionTokens)
      this.#breach(
        `usage says ${String(usage['completion_tokens'])} tokens, and there are ${completionTokens}`,
      );
  }

  #checkFinish(index: number, reason: string): void {
    const wanted = this.#options.oracle.finishReasons[index];
    if (reason !== wanted) this.#breach(`choice ${index} ends by ${reason}, not ${wanted ?? 'at all'}`);
  }

  #deliveryOf(id: string): Delivery {
    const requestId = `req_${id.replace(/^chatcmpl-/, '')}`;
    this.#requestId = id;
    const { texts } = this.#options.oracle;
    const found = this.#deliveries.get(requestId) ?? {
      requestId,
      texts: texts.map(() => ''),
      tokens: texts.map(() => 0),
    };
    this.#deliveries.set(requestId, found);
    return found;
  }

  #breach(what: string): void {
    this.#breaches.push(what);
  }
}

interface Part {
  /** It goes on with what came before. */
  begun: boolean;
  ending: Ending | undefined;
}

/** What passes by itself: a careful client asks again. */
const isRetried = (code: string): boolean =>
  ['backend_unavailable', 'overloaded', 'shutting_down', 'idempotency_in_flight', 'cancelled'].includes(code);

function errorOf(body: unknown): Ending {
  const { error } = body as { error: { code: string; message: string } };
  return { kind: 'error', code: error.code, message: error.message };
}

async function within<Value>(limitMs: number, work: Promise<Value>): Promise<Value> {
  const stop = new AbortController();
  const silent = sleep(limitMs, undefined, { signal: stop.signal }).then(() => {
    throw new Error(`silent for ${limitMs} ms`);
  });
  silent.catch(() => undefined);
  try {
    return await Promise.race([work, silent]);
  } finally {
    stop.abort();
  }
}
