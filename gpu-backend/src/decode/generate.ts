import { TidarError } from '@tidar/shared/errors.ts';
import type { Active } from '../engine/active.ts';
import type { Drafting } from '../engine/drafter.ts';
import type { Engine, Turn } from '../engine/engine.ts';
import type { CompiledGrammar } from '../engine/grammar/compiled-grammar.ts';
import type { GrammarSpec } from '../engine/grammar/spec.ts';
import type { TokenLogprob } from '../engine/sampling/logprobs.ts';
import type { Sampling } from '../engine/sampling/settings.ts';
import type { FinishReason, SequenceOptions } from '../engine/sequence.ts';
import type { StepResult } from '../engine/step-result.ts';
import type { ModelConfig } from '../model/config.ts';
import { assertOptions } from './check-options.ts';
import type { Decoder } from './decoder.ts';
import { planRule } from './plan-rules.ts';

/** One text. Plain data: it crosses threads. */
export interface GenerateOptions {
  readonly promptIds: readonly number[];
  /** Length of the whole answer at most, `committedIds` and the end token included. */
  readonly maxTokens: number;
  readonly decoder: Decoder;
  readonly sampling: Sampling;
  /** End the text beside the model's own end tokens. */
  readonly stopTokenIds: readonly number[];
  /** The model's own end tokens are tokens like others; absent: false. */
  readonly ignoreEos?: boolean;
  /** Alternatives told beside each token's own log-probability; absent: no log-probabilities. */
  readonly logprobs?: number | undefined;
  /** The same of the prompt's tokens; a kept prefix is not used then. */
  readonly promptLogprobs?: number | undefined;
  /** Whether passes tell what they did, row by row. */
  readonly isTraced?: boolean;
  readonly grammar?: GrammarSpec | undefined;
  /** Resume: the tokens that an earlier run of this request decided. The text goes on as if unbroken. */
  readonly committedIds?: readonly number[];
  /** Which of a request's n texts; 0 is that of n = 1. */
  readonly choice?: number;
}

export type DecodeEvent =
  | {
      readonly type: 'step';
      /** Decided in this forward pass, in order; an end token is the last one where it comes. */
      readonly tokenIds: number[];
      readonly numRows: number;
      /** Draft rows verified and accepted, the decided token's own included; both 0 in prefill. */
      readonly numDrafted: number;
      readonly numAccepted: number;
      /** Of the pass; `drafting` has that of the draft model's passes before it. */
      readonly milliseconds: number;
      readonly isPrefill: boolean;
      readonly drafting?: Pick<Drafting, 'numPasses' | 'milliseconds'>;
      readonly logprobs?: readonly TokenLogprob[];
    }
  | {
      readonly type: 'end';
      readonly finishReason: FinishReason;
      /** All of this run, prefill included. Tokens per forward = (tokens - 1) / (numForwardPasses - 1). */
      readonly numForwardPasses: number;
      readonly promptLogprobs?: readonly (TokenLogprob | null)[];
    };

/** What the engine needs to know of a text. `grammar`: the compiled form of the options' own. */
export function sequenceOptions(
  options: GenerateOptions,
  config: ModelConfig,
  grammar?: CompiledGrammar,
): SequenceOptions {
  const { promptIds, maxTokens, decoder, sampling, stopTokenIds, ignoreEos, committedIds, choice } = options;
  return {
    promptIds,
    maxTokens,
    sampling,
    stopTokenIds: new Set([...(ignoreEos === true ? [] : config.eosTokenIds), ...stopTokenIds]),
    beta: decoder.type === 'tidar' ? decoder.beta : 1,
    diffusion: decoder.type === 'diffusion' ? decoder : undefined,
    numLogprobs: options.logprobs,
    numPromptLogprobs: options.promptLogprobs,
    isTraced: options.isTraced,
    grammar: grammar?.start(),
    ...(committedIds === undefined ? {} : { committedIds }),
    ...(choice === undefined ? {} : { choice }),
  };
}

/**
 * Generates from a prompt alone in the engine, one `step` event for each forward pass and one `end`. Throws TidarError
 * (`invalid_request`, `context_length_exceeded`, `cancelled`) instead of an `end`. With beta 1 the tokens are those
 * of plain autoregression with the same seed, whatever the decoder.
 */
export async function* generate(
  engine: Engine,
  options: GenerateOptions,
  { signal, grammar }: { signal?: AbortSignal; grammar?: CompiledGrammar } = {},
): AsyncGenerator<DecodeEvent, void, undefined> {
  const { config } = engine;
  assertOptions(options, config, engine);
  const active = engine.open(sequenceOptions(options, config, grammar), {
    rule: planRule(options.decoder, config.maxPositions),
  });
  if (active === undefined)
    throw new TidarError('overloaded', 'The engine has no memory left for this text.');
  try {
    let numForwardPasses = 0;
    while (active.sequence.finishReason === undefined) {
      if (signal?.aborted === true) throw new TidarError('cancelled', 'The generation was cancelled.');
      const event = stepEvent(await turnOf(engine, active));
      numForwardPasses += 1;
      yield event;
    }
    const { finishReason, promptLogprobs } = active.sequence;
    yield {
      type: 'end',
      finishReason,
      numForwardPasses,
      ...(options.promptLogprobs === undefined ? {} : { promptLogprobs }),
    };
  } finally {
    engine.close(active);
  }
}

/** The sequence's next pass; others in the engine wait. */
async function turnOf(engine: Engine, active: Active): Promise<Turn> {
  const [turn] = await engine.step(new Set([active]));
  if (turn === undefined) throw new TidarError('overloaded', 'The engine has no memory left for this text.');
  return turn;
}

function stepEvent({
  result,
  isPrefill,
  milliseconds,
  active,
  drafting,
}: Turn): Extract<DecodeEvent, { type: 'step' }> {
  if (result instanceof Error) throw result;
  return {
    type: 'step',
    tokenIds: result.tokenIds,
    ...counts(result, isPrefill),
    milliseconds,
    isPrefill,
    ...(drafting === undefined
      ? {}
      : { drafting: { numPasses: drafting.numPasses, milliseconds: drafting.milliseconds } }),
    ...(active.sequence.options.numLogprobs === undefined ? {} : { logprobs: result.logprobs }),
  };
}

/** A pass as its events tell it: prefill verifies no drafts. */
export function counts(
  { numRows, numDrafted, numAccepted }: StepResult,
  isPrefill: boolean,
): { numRows: number; numDrafted: number; numAccepted: number } {
  return isPrefill ? { numRows, numDrafted: 0, numAccepted: 0 } : { numRows, numDrafted, numAccepted };
}
