import { errorBody, TidarError, toTidarError } from '@tidar/shared/errors.ts';
import type { GenerateEvent, GenerateRequest, ModelInfo } from '@tidar/shared/protocol.ts';
import { encodeGenerateEvent } from '@tidar/shared/protocol.ts';
import type { Backend } from './backend.ts';
import type { EngineEvent } from './engine-messages.ts';
import type { PreparedRequest } from './prompt.ts';

/** An accepted request while its text is generated: turns the engine's events into those of the protocol. */
export class Generation {
  readonly #backend: Backend;
  readonly #model: ModelInfo;
  readonly #request: GenerateRequest;
  readonly #prepared: PreparedRequest;
  readonly #receivedAt: number;
  #numCompletionTokens: number;
  #sawToken = false;

  constructor(
    backend: Backend,
    model: ModelInfo,
    request: GenerateRequest,
    prepared: PreparedRequest,
    receivedAt: number,
  ) {
    this.#backend = backend;
    this.#model = model;
    this.#request = request;
    this.#prepared = prepared;
    this.#receivedAt = receivedAt;
    this.#numCompletionTokens = prepared.resumedIds.length;
  }

  /** Encoded events up to exactly one `end` or `error`; it never throws. */
  async *events(engineEvents: AsyncIterable<EngineEvent>): AsyncGenerator<string, void, undefined> {
    try {
      for await (const event of engineEvents) yield this.#encode(this.#toProtocol(event));
    } catch (error) {
      yield this.#encode(this.#fail(toTidarError(error)));
    }
  }

  #encode(event: GenerateEvent): string {
    return encodeGenerateEvent(event, this.#numCompletionTokens);
  }

  #toProtocol(event: EngineEvent): GenerateEvent {
    switch (event.type) {
      case 'admitted':
        return this.#start();
      case 'step':
        return this.#step(event);
      case 'end':
        return this.#end(event);
    }
  }

  #start(): GenerateEvent {
    const { promptIds } = this.#prepared;
    this.#backend.metrics.onAdmitted(promptIds.length, this.#seconds());
    return {
      type: 'start',
      request_id: this.#request.request_id,
      prompt_token_ids: [...promptIds],
      num_prompt_tokens: promptIds.length,
      num_cached_tokens: 0,
      seed: this.#request.sampling.seed,
      fingerprint: this.#model.fingerprint,
      model: this.#model.id,
    };
  }

  #step({ tokenIds, text, pass }: Extract<EngineEvent, { type: 'step' }>): GenerateEvent {
    this.#numCompletionTokens += tokenIds.length;
    if (pass !== undefined) this.#backend.metrics.onPass(pass, tokenIds.length);
    if (!this.#sawToken && tokenIds.length > 0) {
      this.#sawToken = true;
      this.#backend.metrics.onFirstToken(this.#seconds());
    }
    const step = { type: 'step', choice: 0, token_ids: tokenIds, text } as const;
    if (this.#request.trace === 'none' || pass === undefined) return step;
    const { numRows, numDrafted, numAccepted, milliseconds } = pass;
    return { ...step, stats: { rows: numRows, drafted: numDrafted, accepted: numAccepted, milliseconds } };
  }

  #end({ finishReason, numForwardPasses }: Extract<EngineEvent, { type: 'end' }>): GenerateEvent {
    if (finishReason === 'length' && this.#prepared.endsWithLease) {
      throw new TidarError(
        'lease_expired',
        `The lease granted ${this.#numCompletionTokens} tokens and all of them are generated; a new one goes on.`,
      );
    }
    this.#backend.metrics.onEnd(finishReason, this.#seconds());
    this.#logEnd(finishReason, numForwardPasses);
    return {
      type: 'end',
      choice: 0,
      finish_reason: finishReason,
      usage: {
        prompt_tokens: this.#prepared.promptIds.length,
        completion_tokens: this.#numCompletionTokens,
        cached_tokens: 0,
        num_forward_passes: numForwardPasses,
      },
    };
  }

  #fail(error: TidarError): GenerateEvent {
    this.#backend.metrics.onError(error.code);
    this.#logEnd(error.code, undefined, error.internal);
    return { type: 'error', error: errorBody(error).error };
  }

  #logEnd(outcome: string, numForwardPasses?: number, internal?: string): void {
    this.#backend.log('request_end', {
      requestId: this.#request.request_id,
      outcome,
      numPromptTokens: this.#prepared.promptIds.length,
      numCompletionTokens: this.#numCompletionTokens,
      numForwardPasses,
      milliseconds: Math.round(this.#seconds() * 1000),
      internal,
    });
  }

  #seconds(): number {
    return (performance.now() - this.#receivedAt) / 1000;
  }
}
