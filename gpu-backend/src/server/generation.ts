import { errorBody } from '@tidar/shared/errors.ts';
import type { TidarError } from '@tidar/shared/errors.ts';
import type {
  FinishReason,
  GenerateEvent,
  GenerateRequest,
  ModelInfo,
  StepStats,
} from '@tidar/shared/protocol.ts';
import type { PassTrace } from '@tidar/shared/trace.ts';
import { joined } from './answer-reader.ts';
import { type TraceContext, traceFields } from '@tidar/shared/trace-context.ts';
import type { Backend } from './backend.ts';
import type { EngineEvent } from './engine-messages.ts';
import type { Entry } from './journal/records.ts';
import { hashTokens } from './journal/token-blob.ts';
import type { PreparedRequest } from './prompt.ts';
import { describeLogprob } from './token-text.ts';
import { describeTrace } from './trace-text.ts';

type Event<Type extends EngineEvent['type']> = Extract<EngineEvent, { type: Type }>;

/** What a generation needs of the backend that it runs in. */
export type GenerationHost = Pick<Backend, 'metrics' | 'log'> & {
  readonly folder: Pick<Backend['folder'], 'tokenizer'>;
};

/** Something that happened, as its reader is told it and as the journal keeps it. */
export interface Told {
  readonly event: GenerateEvent;
  /** Completion tokens of each choice after it: the event's id. */
  readonly counts: readonly number[];
  readonly entry: Entry;
}

/** What a generation is of, beside the request. */
export interface GenerationOrigin {
  readonly prepared: PreparedRequest;
  /** By `performance.now()`. */
  readonly receivedAt: number;
  /** Steps that the journal has of it before its own. */
  readonly numSteps: number;
  readonly trace: TraceContext;
}

/** An accepted request while its text is generated: turns the engine's events into those of the protocol. */
export class Generation {
  readonly #host: GenerationHost;
  readonly #model: ModelInfo;
  readonly #request: GenerateRequest;
  readonly #prepared: PreparedRequest;
  readonly #receivedAt: number;
  readonly #trace: TraceContext;
  /** Of each choice, the resumed ones included. */
  readonly #tokenIds: number[][];
  readonly #finishReasons: (FinishReason | null)[];
  #numCachedTokens = 0;
  #numSteps: number;
  /** By choice, in seconds since it was received. */
  readonly #lastStepAt: (number | undefined)[] = [];
  #sawToken = false;

  constructor(
    host: GenerationHost,
    model: ModelInfo,
    request: GenerateRequest,
    { prepared, receivedAt, numSteps, trace }: GenerationOrigin,
  ) {
    this.#host = host;
    this.#model = model;
    this.#request = request;
    this.#prepared = prepared;
    this.#receivedAt = receivedAt;
    this.#trace = trace;
    this.#numSteps = numSteps;
    this.#tokenIds = prepared.resumedIds.map((tokenIds) => [...tokenIds]);
    this.#finishReasons = prepared.resumedIds.map(() => null);
  }

  take(event: EngineEvent): Told {
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

  /** The event that ends it in place of `end`. */
  fail(error: TidarError): Told {
    this.#host.metrics.onError(error.code);
    this.#logEnd(error.code, undefined, error.internal);
    const object = errorBody(error).error;
    const isCancelled = error.code === 'cancelled' || error.code === 'attempt_superseded';
    return this.#told(
      { type: 'error', error: object },
      {
        type: 'close',
        state: isCancelled ? 'cancelled' : 'failed',
        numForwardPasses: undefined,
        error: object,
        ...this.#total(),
      },
    );
  }

  /** Whether all that is not finished has come to this token. */
  isAt(endToken: number): boolean {
    return this.#tokenIds.every(
      (tokenIds, choice) => this.#finishReasons[choice] !== null || tokenIds.length >= endToken,
    );
  }

  #told(event: GenerateEvent, entry: Entry): Told {
    return { event, entry, counts: this.#tokenIds.map(({ length }) => length) };
  }

  #total(): { tokenCounts: number[]; tokensHash: string } {
    return {
      tokenCounts: this.#tokenIds.map(({ length }) => length),
      tokensHash: hashTokens(this.#tokenIds),
    };
  }

  #start({ numCachedTokens, promptLogprobs }: Event<'admitted'>): Told {
    const { promptIds } = this.#prepared;
    const { tokenizer } = this.#host.folder;
    this.#numCachedTokens = numCachedTokens;
    this.#host.metrics.onAdmitted(promptIds.length, this.#seconds());
    // Prompt log-probabilities need every row of the prompt, so they do not ask the prefix cache.
    if (promptLogprobs === undefined) this.#host.metrics.onPrefixQuery(promptIds.length, numCachedTokens);
    const scores = promptLogprobs?.map((logprob) => logprob && describeLogprob(logprob, tokenizer));
    const event = {
      type: 'start' as const,
      request_id: this.#request.request_id,
      prompt_token_ids: [...promptIds],
      num_prompt_tokens: promptIds.length,
      num_cached_tokens: numCachedTokens,
      ...(scores === undefined ? {} : { prompt_logprobs: scores }),
      seed: this.#request.sampling.seed,
      fingerprint: this.#model.fingerprint,
      model: this.#model.id,
    };
    return this.#told(event, { type: 'start', numCachedTokens, promptLogprobs: scores });
  }

  #step({ choice, tokenIds, isLast, logprobs, pass, ...piece }: Event<'step'>): Told {
    this.#tokenIds[choice]?.push(...tokenIds);
    this.#host.metrics.onPass(pass, tokenIds.length);
    const now = this.#seconds();
    const last = this.#lastStepAt[choice];
    this.#lastStepAt[choice] = now;
    if (last !== undefined) this.#host.metrics.onStep(now - last);
    if (!this.#sawToken && tokenIds.length > 0) {
      this.#sawToken = true;
      this.#host.metrics.onFirstToken(now);
    }
    const scores = logprobs?.map((logprob) => describeLogprob(logprob, this.#host.folder.tokenizer));
    const event = {
      type: 'step' as const,
      choice,
      token_ids: tokenIds,
      ...joined(piece, { text: '' }),
      ...(scores === undefined ? {} : { logprobs: scores }),
      ...(this.#request.trace === 'none' ? {} : { stats: statsOf(pass) }),
      ...(this.#request.trace === 'full' ? { trace: this.#traceOf(pass, tokenIds.length) } : {}),
    };
    const seq = this.#numSteps++;
    return this.#told(event, { type: 'step', seq, choice, tokenIds, isLast, logprobs: scores });
  }

  #traceOf({ traces = [] }: Event<'step'>['pass'], numTokens: number): PassTrace[] {
    return traces.map((trace) => describeTrace(trace, numTokens, this.#host.folder.tokenizer));
  }

  #finish({ choice, finishReason }: Event<'finish'>): Told {
    this.#finishReasons[choice] = finishReason;
    const event = { type: 'finish' as const, choice, finish_reason: finishReason };
    return this.#told(event, { type: 'finish', finishReasons: [...this.#finishReasons] });
  }

  #end({ numForwardPasses }: Event<'end'>): Told {
    const reasons = this.#finishReasons.filter((reason) => reason !== null);
    this.#host.metrics.onEnd(reasons, this.#seconds());
    this.#logEnd(reasons.includes('length') ? 'length' : 'stop', numForwardPasses);
    const usage = {
      prompt_tokens: this.#prepared.promptIds.length,
      completion_tokens: this.#numCompletionTokens,
      cached_tokens: this.#numCachedTokens,
      num_forward_passes: numForwardPasses,
    };
    return this.#told(
      { type: 'end', usage },
      { type: 'close', state: 'ended', numForwardPasses, ...this.#total() },
    );
  }

  #logEnd(outcome: string, numForwardPasses?: number, internal?: string): void {
    this.#host.log('request_end', {
      request_id: this.#request.request_id,
      ...traceFields(this.#trace),
      outcome,
      choices: this.#tokenIds.length,
      prompt_tokens: this.#prepared.promptIds.length,
      cached_tokens: this.#numCachedTokens,
      completion_tokens: this.#numCompletionTokens,
      forward_passes: numForwardPasses,
      ms: Math.round(this.#seconds() * 1000),
      internal,
    });
  }

  get #numCompletionTokens(): number {
    return this.#tokenIds.reduce((sum, { length }) => sum + length, 0);
  }

  #seconds(): number {
    return (performance.now() - this.#receivedAt) / 1000;
  }
}

function statsOf(pass: Event<'step'>['pass']): StepStats {
  const { numRows, numDrafted, numAccepted, milliseconds, plan, numSequences, drafting, numPasses } = pass;
  return {
    rows: numRows,
    drafted: numDrafted,
    accepted: numAccepted,
    milliseconds,
    plan,
    sequences: numSequences,
    ...(numPasses === 1 ? {} : { passes: numPasses }),
    ...(drafting && { draft_passes: drafting.numPasses, draft_milliseconds: drafting.milliseconds }),
  };
}
