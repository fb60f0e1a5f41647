import type { ServerResponse } from 'node:http';
import { errorBody, TidarError } from '@tidar/shared/errors.ts';
import type { JournalAnswer, JournalState } from '@tidar/shared/journal.ts';
import { hashTokenIds, type LeasePayload } from '@tidar/shared/lease.ts';
import {
  encodeGenerateEvent,
  type GenerateEvent,
  type GenerateRequest,
  type ModelInfo,
  type StartEvent,
} from '@tidar/shared/protocol.ts';

const keyOf = ({ request_id: id, attempt }: Pick<LeasePayload, 'request_id' | 'attempt'>): string =>
  `${id} ${attempt}`;

/** What a scripted backend remembers of what its scripts have told. */
export class ScriptedJournal {
  readonly #model: ModelInfo;
  readonly #attempts = new Map<string, ScriptedAttempt>();

  constructor(model: ModelInfo) {
    this.#model = model;
  }

  start(lease: LeasePayload, request: GenerateRequest, response: ServerResponse): ScriptedAttempt {
    const attempt = new ScriptedAttempt(this.#model, lease, request, response);
    this.#attempts.set(keyOf(lease), attempt);
    return attempt;
  }

  find(requestId: string, attempt: number): ScriptedAttempt | undefined {
    return this.#attempts.get(keyOf({ request_id: requestId, attempt }));
  }

  forget(lease: LeasePayload): void {
    this.#attempts.delete(keyOf(lease));
  }
}

/** One attempt: all that was told of it, and who reads it now. */
export class ScriptedAttempt {
  readonly #model: ModelInfo;
  readonly #lease: LeasePayload;
  readonly #request: GenerateRequest;
  readonly #told: { event: GenerateEvent; counts: number[] }[] = [];
  #counts: number[];
  #reader: ServerResponse | undefined;
  #state: JournalState = 'running';

  constructor(model: ModelInfo, lease: LeasePayload, request: GenerateRequest, reader: ServerResponse) {
    this.#model = model;
    this.#lease = lease;
    this.#request = request;
    this.#counts = [...lease.first_tokens];
    this.#reader = reader;
  }

  /** Writes it down, then sends it to the reader, waiting while that takes nothing more. */
  async tell(event: GenerateEvent): Promise<void> {
    if (event.type === 'step') {
      const more = event.token_ids.length;
      this.#counts = this.#counts.map((count, choice) => (choice === event.choice ? count + more : count));
    }
    if (event.type === 'end') this.#state = 'ended';
    if (event.type === 'error') this.#state = event.error.code === 'cancelled' ? 'cancelled' : 'failed';
    this.#told.push({ event, counts: this.#counts });
    await this.write(encodeGenerateEvent(event, this.#counts));
    if (this.#state !== 'running') this.#reader?.end();
  }

  /** Bytes as they are. */
  write(text: string): Promise<void> {
    const reader = this.#reader;
    if (reader === undefined || reader.destroyed) return Promise.resolve();
    if (!reader.headersSent) reader.writeHead(200, { 'content-type': 'text/event-stream' });
    if (reader.write(text)) return Promise.resolve();
    return new Promise((resolve) => {
      const done = (): void => {
        reader.off('drain', done).off('close', done);
        resolve();
      };
      reader.on('drain', done).on('close', done);
    });
  }

  die(): void {
    this.#reader?.destroy();
    this.#reader = undefined;
    const error = new TidarError('backend_unavailable', 'The process died.');
    this.#told.push({ event: { type: 'error', ...errorBody(error) }, counts: this.#counts });
    this.#state = 'interrupted';
  }

  /** Another reader: all steps after what it has, cut at none of them, then what is told from now on. */
  attach(response: ServerResponse, from?: readonly number[]): void {
    const takenOver = new TidarError('stream_taken_over', 'Another reader took this stream over.');
    const last: GenerateEvent = { type: 'error', ...errorBody(takenOver) };
    if (this.#reader?.writable === true) this.#reader.end(encodeGenerateEvent(last, this.#counts));
    this.#reader = response;
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    for (const { event, counts } of this.#told) {
      const isKnown = event.type === 'step' && (counts[event.choice] ?? 0) <= (from?.[event.choice] ?? 0);
      if (!isKnown) response.write(encodeGenerateEvent(event, counts));
    }
    if (this.#state !== 'running') response.end();
  }

  async answer(): Promise<JournalAnswer> {
    const events = this.#told.map(({ event }) => event);
    const resumed = this.#request.resume?.token_ids;
    const tokenIds = this.#counts.map((_, choice) => [
      ...(resumed?.[choice] ?? []),
      ...events.flatMap((event) => (event.type === 'step' && event.choice === choice ? event.token_ids : [])),
    ]);
    const start = events.find((event): event is StartEvent => event.type === 'start');
    return {
      request_id: this.#lease.request_id,
      attempt: this.#lease.attempt,
      state: this.#state,
      model: this.#model.id,
      fingerprint: this.#model.fingerprint,
      seed: this.#request.sampling.seed,
      prompt_token_ids: start?.prompt_token_ids ?? [],
      token_ids: tokenIds,
      token_counts: this.#counts,
      tokens_hash: this.#state === 'running' ? null : await hashTokenIds(tokenIds),
      finish_reasons: this.#counts.map((_, choice) => {
        const finish = events.find((event) => event.type === 'finish' && event.choice === choice);
        return finish?.type === 'finish' ? finish.finish_reason : null;
      }),
      usage: {
        prompt_tokens: start?.num_prompt_tokens ?? 0,
        completion_tokens: this.#counts.reduce((total, count) => total + count, 0),
        cached_tokens: start?.num_cached_tokens ?? 0,
        num_forward_passes: events.filter(({ type }) => type === 'step').length,
      },
      request: this.#request,
    };
  }
}
