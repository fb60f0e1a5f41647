import { TidarError } from '@tidar/shared/errors.ts';
import { MAX_BLOCK_LENGTH, MAX_DRAFT_LENGTH } from '@tidar/shared/decoder.ts';
import { MAX_TOP_LOGPROBS } from '@tidar/shared/protocol.ts';
import type { DiffusionOptions } from '../engine/diffusion/options.ts';
import type { Sampling } from '../engine/sampling/settings.ts';
import type { ModelConfig } from '../model/config.ts';
import type { Decoder, SpeculativeOptions, TidarOptions } from './decoder.ts';
import type { GenerateOptions } from './generate.ts';

type Check = (holds: boolean, param: string, sentence: string) => void;

/** What a backend has beside its model. */
export interface Capabilities {
  /** A draft model, which `speculative` needs. */
  readonly hasDrafter: boolean;
}

/** Refuses what can't be generated, each in one sentence. */
export function assertOptions(
  options: GenerateOptions,
  config: ModelConfig,
  { hasDrafter }: Capabilities = { hasDrafter: false },
): void {
  const { promptIds, committedIds = [], maxTokens, decoder } = options;
  const check: Check = (holds, param, sentence) => {
    if (!holds) throw new TidarError('invalid_request', sentence, { param });
  };
  check(promptIds.length > 0, 'prompt', 'The prompt has no tokens; give at least one.');
  const unknown = [...promptIds, ...committedIds].find((id) => !isTokenId(id, config.vocabSize));
  check(
    unknown === undefined,
    'prompt',
    `Token id ${unknown} is not in the model's vocabulary of ${config.vocabSize}.`,
  );
  check(isWhole(maxTokens, 1, Infinity), 'max_tokens', 'max_tokens must be 1 or more.');
  assertSampling(options.sampling, maxTokens, config, check);
  for (const [param, count] of [
    ['logprobs', options.logprobs],
    ['prompt_logprobs', options.promptLogprobs],
  ] as const) {
    const isCount = count === undefined || isWhole(count, 0, MAX_TOP_LOGPROBS);
    check(isCount, param, `${param} must be a whole number from 0 to ${MAX_TOP_LOGPROBS}.`);
  }
  check(
    options.grammar === undefined || options.ignoreEos !== true,
    'ignore_eos',
    'ignore_eos contradicts a grammar: after its last token only an end may follow.',
  );
  if (decoder.type === 'tidar') assertTidar(decoder, config, check);
  if (decoder.type === 'diffusion') assertDiffusion(decoder, options, config, check);
  if (decoder.type === 'speculative') {
    assertDraftLength(decoder, check);
    check(
      hasDrafter,
      'decoder',
      'The decoder "speculative" needs a draft model, and none was named at the start (--draft-model).',
    );
  }
  assertContext(options, config);
}

function assertSampling(sampling: Sampling, maxTokens: number, config: ModelConfig, check: Check): void {
  const { temperature, topK, topP, minP, seed, repetitionPenalty, logitBias, minTokens } = sampling;
  const { presencePenalty, frequencyPenalty } = sampling;
  check(temperature >= 0 && temperature <= 2, 'temperature', 'temperature must be from 0 to 2.');
  check(isWhole(topK, 0, Infinity), 'top_k', 'top_k must be a whole number, 0 to turn it off.');
  check(topP > 0 && topP <= 1, 'top_p', 'top_p must be more than 0 and at most 1.');
  check(minP >= 0 && minP < 1, 'min_p', 'min_p must be 0 or more and less than 1.');
  check(seed >= 0n && seed < 1n << 64n, 'seed', 'seed must be an unsigned number of 64 bits.');
  check(isIn(presencePenalty, -2, 2), 'presence_penalty', 'presence_penalty must be from -2 to 2.');
  check(isIn(frequencyPenalty, -2, 2), 'frequency_penalty', 'frequency_penalty must be from -2 to 2.');
  const isPenalty = repetitionPenalty > 0 && Number.isFinite(repetitionPenalty);
  check(isPenalty, 'repetition_penalty', 'repetition_penalty must be more than 0, 1 to turn it off.');
  const strange = logitBias.find(([id, bias]) => !isTokenId(id, config.vocabSize) || !isIn(bias, -100, 100));
  check(
    strange === undefined,
    'logit_bias',
    `logit_bias takes token ids below ${config.vocabSize} and biases from -100 to 100; got ${strange?.join(': ')}.`,
  );
  check(
    isWhole(minTokens, 0, maxTokens),
    'min_tokens',
    `min_tokens must be a whole number, at most max_tokens (${maxTokens}).`,
  );
}

function assertTidar({ draftLength, beta, plan }: TidarOptions, config: ModelConfig, check: Check): void {
  check(
    config.tidar !== undefined,
    'decoder',
    'This model has no diffusion mode (no tidar fields in its config); use the decoder "ar".',
  );
  assertDraftLength({ draftLength }, check);
  check(beta >= 0 && beta <= 1, 'beta', 'beta must be from 0 to 1.');
  check(
    beta === 1 || plan === 'dense',
    'beta',
    `beta below 1 needs the plan "dense", whose blocks it reads; the plan "${plan}" has no text of its own there.`,
  );
}

function assertDraftLength({ draftLength }: SpeculativeOptions, check: Check): void {
  const isLength = isWhole(draftLength, 1, MAX_DRAFT_LENGTH);
  check(isLength, 'draft_length', `draft_length must be a whole number from 1 to ${MAX_DRAFT_LENGTH}.`);
}

function assertDiffusion(
  options: DiffusionOptions,
  { grammar }: GenerateOptions,
  config: ModelConfig,
  check: Check,
): void {
  check(
    config.tidar !== undefined,
    'decoder',
    'The decoder "diffusion" needs a model with a mask token (tidar.mask_token_id in its config); use "ar".',
  );
  const { blockLength, strategy } = options;
  const isLength = (value: number): boolean => isWhole(value, 1, MAX_BLOCK_LENGTH);
  const sentence = `must be a whole number from 1 to ${MAX_BLOCK_LENGTH}.`;
  check(isLength(blockLength), 'block_length', `block_length ${sentence}`);
  if (strategy === 'threshold') {
    const { threshold } = options;
    check(threshold > 0 && threshold <= 1, 'threshold', 'threshold must be more than 0 and at most 1.');
  } else check(isLength(options.tokensPerPass), 'tokens_per_pass', `tokens_per_pass ${sentence}`);
  check(
    grammar === undefined || strategy === 'left-to-right',
    'grammar',
    `A format needs its text from left to right, which the strategy "${strategy}" does not give: use "left-to-right".`,
  );
}

/** Tokens that an answer may have at most; 0 or less where the prompt alone is too long. */
export function roomFor(numPromptTokens: number, decoder: Decoder, { maxPositions }: ModelConfig): number {
  const room = maxPositions - numPromptTokens;
  if (decoder.type === 'diffusion') return room - (room % decoder.blockLength);
  return room - numBlockPositions(decoder);
}

/** With beta below 1 the last token's whole block needs positions too. */
function numBlockPositions(decoder: Decoder): number {
  return decoder.type === 'tidar' && decoder.beta < 1 ? 2 * decoder.draftLength : 0;
}

/** Every token needs a position. */
function assertContext({ promptIds, maxTokens, decoder }: GenerateOptions, config: ModelConfig): void {
  const room = roomFor(promptIds.length, decoder, config);
  if (maxTokens <= room) return;
  const context = `The model's context is ${config.maxPositions} tokens, the answer included`;
  const besides = whatElse(decoder);
  throw new TidarError(
    'context_length_exceeded',
    room < 1
      ? `${context}; the prompt alone is too long: it has ${promptIds.length}${besides}.`
      : `${context}; the prompt has ${promptIds.length} and ${maxTokens} are asked for${besides}.`,
  );
}

function whatElse(decoder: Decoder): string {
  if (decoder.type === 'diffusion') return `, in whole blocks of ${decoder.blockLength}`;
  const numPositions = numBlockPositions(decoder);
  return numPositions > 0 ? ` and ${numPositions} positions for drafts at beta below 1` : '';
}

function isTokenId(id: number, vocabSize: number): boolean {
  return isWhole(id, 0, vocabSize - 1);
}

function isWhole(value: number, least: number, most: number): boolean {
  return Number.isSafeInteger(value) && isIn(value, least, most);
}

function isIn(value: number, least: number, most: number): boolean {
  return value >= least && value <= most;
}
