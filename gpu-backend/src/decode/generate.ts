import { TidarError } from '@tidar/shared/errors.ts';
import { MAX_DRAFT_LENGTH } from '@tidar/shared/protocol.ts';
import type { ModelSession } from '../device/device.ts';
import type { ModelConfig } from '../model/config.ts';
import type { Sampling } from '../engine/sample.ts';
import { Sequence } from '../engine/sequence.ts';
import type { FinishReason } from '../engine/sequence.ts';
import { step } from '../engine/step.ts';
import { arPolicy } from './ar.ts';
import type { Policy } from './policy.ts';
import { tidarPolicy } from './tidar.ts';
import type { TidarOptions } from './tidar.ts';

export type Decoder = { readonly type: 'ar' } | ({ readonly type: 'tidar' } & TidarOptions);

export interface GenerateOptions {
  readonly promptIds: readonly number[];
  /** Length of the whole answer at most, `committedIds` and the end token included. */
  readonly maxTokens: number;
  readonly decoder: Decoder;
  readonly sampling: Sampling;
  /** End the text beside the model's own end tokens. */
  readonly stopTokenIds: readonly number[];
  /** Resume: the tokens that an earlier run of this request decided. The text goes on as if unbroken. */
  readonly committedIds?: readonly number[];
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
      readonly milliseconds: number;
      readonly isPrefill: boolean;
    }
  | {
      readonly type: 'end';
      readonly finishReason: FinishReason;
      /** All of this run, prefill included. Tokens per forward = (tokens - 1) / (numForwardPasses - 1). */
      readonly numForwardPasses: number;
    };

const INITIAL_CAPACITY = 128;

/**
 * Generates from a prompt, one `step` event for each forward pass and one `end`. Throws TidarError
 * (`invalid_request`, `context_length_exceeded`, `cancelled`) instead of an `end`. With beta 1 the tokens are those
 * of plain autoregression with the same seed, whatever the decoder.
 */
export async function* generate(
  session: ModelSession,
  options: GenerateOptions,
  signal?: AbortSignal,
): AsyncGenerator<DecodeEvent, void, undefined> {
  const { config } = session;
  assertOptions(options, config);
  const { decoder } = options;
  const policy = policyFor(decoder, config);
  const stopTokenIds = new Set([...config.eosTokenIds, ...options.stopTokenIds]);
  const beta = decoder.type === 'tidar' ? decoder.beta : 1;
  const cache = session.createCache(INITIAL_CAPACITY);
  try {
    const sequence = new Sequence({ ...options, stopTokenIds, beta }, cache, config.vocabSize);
    let numForwardPasses = 0;
    while (sequence.finishReason === undefined) {
      if (signal?.aborted === true) throw new TidarError('cancelled', 'The generation was cancelled.');
      const isPrefill = numForwardPasses === 0;
      const startedAt = performance.now();
      const { tokenIds, numRows, numDrafted } = await step(session, sequence, policy(sequence));
      const milliseconds = performance.now() - startedAt;
      numForwardPasses += 1;
      const drafting = isPrefill
        ? { numDrafted: 0, numAccepted: 0 }
        : { numDrafted, numAccepted: tokenIds.length };
      yield { type: 'step', tokenIds, numRows, ...drafting, milliseconds, isPrefill };
    }
    yield { type: 'end', finishReason: sequence.finishReason, numForwardPasses };
  } finally {
    cache.dispose();
  }
}

function policyFor(decoder: Decoder, config: ModelConfig): Policy {
  return decoder.type === 'ar' ? arPolicy() : tidarPolicy(decoder, config.maxPositions);
}

/** Refuses what can't be generated, each in one sentence. */
export function assertOptions(options: GenerateOptions, config: ModelConfig): void {
  const { promptIds, committedIds = [], maxTokens, decoder } = options;
  const check = (holds: boolean, param: string, sentence: string): void => {
    if (!holds) throw new TidarError('invalid_request', sentence, { param });
  };
  check(promptIds.length > 0, 'prompt', 'The prompt has no tokens; give at least one.');
  const unknown = [...promptIds, ...committedIds].find((id) => !isTokenId(id, config.vocabSize));
  check(
    unknown === undefined,
    'prompt',
    `Token id ${unknown} is not in the model's vocabulary of ${config.vocabSize}.`,
  );
  check(Number.isSafeInteger(maxTokens) && maxTokens >= 1, 'max_tokens', 'max_tokens must be 1 or more.');
  assertSampling(options.sampling, check);
  if (decoder.type === 'tidar') assertTidar(decoder, config, check);
  assertContext(options, config);
}

type Check = (holds: boolean, param: string, sentence: string) => void;

function assertSampling({ temperature, topK, topP, minP, seed }: Sampling, check: Check): void {
  check(temperature >= 0 && temperature <= 2, 'temperature', 'temperature must be from 0 to 2.');
  check(Number.isSafeInteger(topK) && topK >= 0, 'top_k', 'top_k must be a whole number, 0 to turn it off.');
  check(topP > 0 && topP <= 1, 'top_p', 'top_p must be more than 0 and at most 1.');
  check(minP >= 0 && minP < 1, 'min_p', 'min_p must be 0 or more and less than 1.');
  check(seed >= 0n && seed < 1n << 64n, 'seed', 'seed must be an unsigned number of 64 bits.');
}

function assertTidar({ draftLength, beta }: TidarOptions, config: ModelConfig, check: Check): void {
  check(
    config.tidar !== undefined,
    'decoder',
    'This model has no diffusion mode (no tidar fields in its config); use the decoder "ar".',
  );
  const isLength = Number.isSafeInteger(draftLength) && draftLength >= 1 && draftLength <= MAX_DRAFT_LENGTH;
  check(isLength, 'draft_length', `draft_length must be a whole number from 1 to ${MAX_DRAFT_LENGTH}.`);
  check(beta >= 0 && beta <= 1, 'beta', 'beta must be from 0 to 1.');
}

/** Every token needs a position; with beta below 1 the last token's whole block needs positions too. */
function assertContext({ promptIds, maxTokens, decoder }: GenerateOptions, config: ModelConfig): void {
  const numBlockPositions = decoder.type === 'tidar' && decoder.beta < 1 ? 2 * decoder.draftLength : 0;
  const numPositions = promptIds.length + maxTokens + numBlockPositions;
  if (numPositions <= config.maxPositions) return;
  const forBlocks =
    numBlockPositions > 0 ? ` and ${numBlockPositions} positions for drafts at beta below 1` : '';
  throw new TidarError(
    'context_length_exceeded',
    `The model's context is ${config.maxPositions} tokens; the prompt has ${promptIds.length} and ${maxTokens} are asked for${forBlocks}.`,
  );
}

function isTokenId(id: number, vocabSize: number): boolean {
  return Number.isSafeInteger(id) && id >= 0 && id < vocabSize;
}
