import { errorBody, TidarError, toTidarError } from '@tidar/shared/errors.ts';
import type {
  FinishReason,
  GenerateEvent,
  GenerateRequest,
  ModelInfo,
  StepStats,
} from '@tidar/shared/protocol.ts';
import { encodeGenerateEvent } from '@tidar/shared/protocol.ts';
import type { Backend } from './backend.ts';
import type { EngineEvent } from './engine-messages.ts';
import type { PreparedRequest } from './prompt.ts';
import { describeLogprob } from './token-text.ts';

type Event<Type extends EngineEvent['type']> = Extract<EngineEvent, { type: Type }>;

/** What a generation needs of the backend that it runs in. */
export type GenerationHost = Pick<Backend, 'metrics' | 'log'> & {
  readonly folder: Pick<Backend['folder'], 'tokenizer'>;
};

/** An accepted request while its text is generated: turns the engine's events into those of the protocol. */
export class Generation {
  readonly #host: GenerationHost;
  readonly #model: ModelInfo;
  readonly #request: GenerateRequest;
  readonly #prepared: PreparedRequest;
  readonly #receivedAt: number;
  /** Completion tokens of each choice, the resumed ones included. */
  readonly #numTokens: number[];
  #numCachedTokens = 0;
  #sawToken = false;
  /** Choices that the lease ended before their text was. */
  #numCutByLease = 0;
  readonly #finishReasons: FinishReason[] = [];

  constructor(
    host: GenerationHost,
    model: ModelInfo,
    request: GenerateRequest,
    prepared: PreparedRequest,
    receivedAt: number,
  ) {
    this.#host = host;
    this.#model = model;
    this.#request = request;
    this.#prepared = prepared;
    this.#receivedAt = receivedAt;
    this.#numTokens = prepared.resumedIds.map(({ length }) => length);
  }

  /** Encoded events up to exactly one `end` or `error`; it never throws. */
  async *events(engineEvents: AsyncIterable<EngineEvent>): AsyncGenerator<string, void, undefined> {
    try {
      for await (const engineEvent of engineEvents) {
        const event = this.#toProtocol(engineEvent);
        if (event !== undefined) yield this.#encode(event);
      }
    } catch (error) {
      yield this.#encode(this.#fail(toTidarError(error)));
    }
  }

  #encode(event: GenerateEvent): string {
    return encodeGenerateEvent(event, this.#numTokens);
  }

  #toProtocol(event: EngineEvent): GenerateEvent | undefined {
    switch (event.type) {
      case 'admitted':
        return this.#start(event);
      case 'step':
        return this.#step(event);
      case 'finish':
        return this.#finish(event);
      case 'end':
        return this.#end(event);
    }
  }

  #start({ numCachedTokens, promptLogprobs }: Event<'admitted'>): GenerateEvent {
    const { promptIds } = this.#prepared;
    const { tokenizer } = this.#host.folder;
    this.#numCachedTokens = numCachedTokens;
    this.#host.metrics.onAdmitted(promptIds.length, this.#seconds());
    // Prompt log-probabilities need every row of the prompt, so they do not ask the prefix cache.
    if (promptLogprobs === undefined) this.#host.metrics.onPrefixQuery(promptIds.length, numCachedTokens);
    const scores = promptLogprobs?.map((logprob) => logprob && describeLogprob(logprob, tokenizer));
    return {
      type: 'start',
      request_id: this.#request.request_id,
      prompt_token_ids: [...promptIds],
      num_prompt_tokens: promptIds.length,
      num_cached_tokens: numCachedTokens,
      ...(scores === undefined ? {} : { prompt_logprobs: scores }),
      seed: this.#request.sampling.seed,
      fingerprint: this.#model.fingerprint,
      model: this.#model.id,
    };
  }

  #step({ choice, tokenIds, text, logprobs, pass }: Event<'step'>): GenerateEvent {
    this.#numTokens[choice] = (this.#numTokens[choice] ?? 0) + tokenIds.length;
    if (pass !== undefined) this.#host.metrics.onPass(pass, tokenIds.length);
    if (!this.#sawToken && tokenIds.length > 0) {
      this.#sawToken = true;
      this.#host.metrics.onFirstToken(this.#seconds());
    }
    const scores = logprobs?.map((logprob) => describeLogprob(logprob, this.#host.folder.tokenizer));
    const stats = this.#request.trace === 'none' || pass === undefined ? undefined : statsOf(pass);
    return {
      type: 'step',
      choice,
      token_ids: tokenIds,
      text,
      ...(scores === undefined ? {} : { logprobs: scores }),
      ...(stats === undefined ? {} : { stats }),
    };
  }

  /** Nothing where the lease's end cut the choice: its text is not finished, as the closing error says. */
  #finish({ choice, finishReason }: Event<'finish'>): GenerateEvent | undefined {
    if (finishReason === 'length' && this.#prepared.endsWithLease) {
      this.#numCutByLease += 1;
      return undefined;
    }
    this.#finishReasons.push(finishReason);
    return { type: 'finish', choice, finish_reason: finishReason };
  }

  #end({ numForwardPasses }: Event<'end'>): GenerateEvent {
    if (this.#numCutByLease > 0) throw leaseUsedUp(Math.max(...this.#numTokens));
    const outcome = this.#finishReasons.includes('length') ? 'length' : 'stop';
    this.#host.metrics.onEnd(this.#finishReasons, this.#seconds());
    this.#logEnd(outcome, numForwardPasses);
    return {
      type: 'end',
      usage: {
        prompt_tokens: this.#prepared.promptIds.length,
        completion_tokens: this.#numCompletionTokens,
        cached_tokens: this.#numCachedTokens,
        num_forward_passes: numForwardPasses,
      },
    };
  }

  #fail(error: TidarError): GenerateEvent {
    this.#host.metrics.onError(error.code);
    this.#logEnd(error.code, undefined, error.internal);
    return { type: 'error', error: errorBody(error).error };
  }

  #logEnd(outcome: string, numForwardPasses?: number, internal?: string): void {
    this.#host.log('request_end', {
      requestId: this.#request.request_id,
      outcome,
      numChoices: this.#numTokens.length,
      numPromptTokens: this.#prepared.promptIds.length,
      numCachedTokens: this.#numCachedTokens,
      numCompletionTokens: this.#numCompletionTokens,
      numForwardPasses,
      milliseconds: Math.round(this.#seconds() * 1000),
      internal,
    });
  }

  get #numCompletionTokens(): number {
    return this.#numTokens.reduce((sum, numTokens) => sum + numTokens, 0);
  }

  #seconds(): number {
    return (performance.now() - this.#receivedAt) / 1000;
  }
}

function statsOf(pass: NonNullable<Event<'step'>['pass']>): StepStats {
  const { numRows, numDrafted, numAccepted, milliseconds, plan, numSequences } = pass;
  return {
    rows: numRows,
    drafted: numDrafted,
    accepted: numAccepted,
    milliseconds,
    plan,
    sequences: numSequences,
  };
}

function leaseUsedUp(numTokens: number): TidarError {
  return new TidarError(
    'lease_expired',
    `The lease granted ${numTokens} tokens and all of them are generated; a new one goes on.`,
  );
}
