import { TidarError } from '@tidar/shared/errors.ts';
import type { LeasePayload } from '@tidar/shared/lease.ts';
import type { GenerateInput, GenerateRequest, SamplingParams } from '@tidar/shared/protocol.ts';
import { assertOptions, roomFor } from '../decode/check-options.ts';
import type { Capabilities } from '../decode/check-options.ts';
import type { Decoder } from '../decode/decoder.ts';
import type { GenerateOptions } from '../decode/generate.ts';
import type { GrammarSpec } from '../engine/grammar/spec.ts';
import type { Sampling } from '../engine/sampling/settings.ts';
import type { ModelConfig } from '../model/config.ts';
import type { ModelFolder } from '../model/folder.ts';
import type { Tokenizer } from '../model/tokenizer.ts';
import { answerFormOf, grammarOf } from './answer-form.ts';
import { chatPromptIds } from './chat-prompt.ts';
import type { EngineRequest } from './engine-messages.ts';
import { assertRequest } from './request-checks.ts';

export interface PreparedRequest {
  readonly engineRequest: EngineRequest;
  readonly promptIds: readonly number[];
  /** Of each choice, the tokens that an earlier attempt generated. */
  readonly resumedIds: readonly (readonly number[])[];
}

/**
 * Turns a request into token ids and checks all that can be checked before anything is started. It runs on the main
 * thread: what is refused never takes time from the sequences that the engine is decoding.
 */
export function prepareRequest(
  folder: ModelFolder,
  request: GenerateRequest,
  lease: LeasePayload,
  capabilities?: Capabilities,
): PreparedRequest {
  const { config, tokenizer } = folder;
  const { num_choices: numChoices, resume } = request;
  const promptIds = resume?.prompt_token_ids ?? tokenise(request.input, tokenizer);
  const form = answerFormOf(request, promptIds, tokenizer);
  const grammar = grammarOf(request, form, tokenizer);
  const options = toOptions(request, promptIds, config, grammar);
  const { maxTokens } = options;
  assertOptions(options, config, capabilities);
  assertRequest(request, { promptIds, maxTokens, vocabSize: config.vocabSize, tokenizer });
  const engineRequest: EngineRequest = {
    generate: options,
    numChoices,
    endToken: lease.end_token,
    ...(resume === undefined ? {} : { committedByChoice: resume.token_ids }),
    stop: request.stop,
    ...(form === undefined ? {} : { form }),
    tenant: lease.tenant,
  };
  return {
    engineRequest,
    promptIds,
    resumedIds: resume?.token_ids ?? Array.from({ length: numChoices }, () => []),
  };
}

function tokenise(input: GenerateInput, tokenizer: Tokenizer | undefined): number[] {
  if (input.type === 'tokens') return input.token_ids;
  if (tokenizer === undefined) {
    throw new TidarError('invalid_request', 'This model has no tokenizer; send the prompt as token ids.', {
      param: 'input',
    });
  }
  // Text is taken as it is: a caller that wants a beginning-of-text token writes it.
  return input.type === 'chat' ? chatPromptIds(input, tokenizer) : tokenizer.encode(input.text);
}

function toOptions(
  request: GenerateRequest,
  promptIds: readonly number[],
  config: ModelConfig,
  grammar: GrammarSpec | undefined,
): GenerateOptions {
  const { logprobs, prompt_logprobs: promptLogprobs } = request;
  const decoder = toDecoder(request.decoder);
  return {
    promptIds,
    // A full context has room for less than 1, which is then refused by its numbers.
    maxTokens: request.max_tokens ?? Math.max(1, roomFor(promptIds.length, decoder, config)),
    decoder,
    sampling: toSampling(request.sampling),
    stopTokenIds: request.stop_token_ids,
    ignoreEos: request.ignore_eos,
    ...(logprobs === undefined ? {} : { logprobs }),
    ...(promptLogprobs === undefined ? {} : { promptLogprobs }),
    ...(request.trace === 'full' ? { isTraced: true } : {}),
    ...(grammar === undefined ? {} : { grammar }),
  };
}

function toDecoder(decoder: GenerateRequest['decoder']): Decoder {
  if (decoder.type === 'ar') return decoder;
  if (decoder.type === 'speculative') return { type: decoder.type, draftLength: decoder.draft_length };
  if (decoder.type === 'diffusion') {
    const { type, block_length: blockLength } = decoder;
    return decoder.strategy === 'threshold'
      ? { type, blockLength, strategy: decoder.strategy, threshold: decoder.threshold }
      : { type, blockLength, strategy: decoder.strategy, tokensPerPass: decoder.tokens_per_pass };
  }
  return { type: 'tidar', plan: decoder.plan, draftLength: decoder.draft_length, beta: decoder.beta };
}

function toSampling(params: SamplingParams): Sampling {
  return {
    temperature: params.temperature,
    topK: params.top_k,
    topP: params.top_p,
    minP: params.min_p,
    seed: BigInt(params.seed),
    presencePenalty: params.presence_penalty,
    frequencyPenalty: params.frequency_penalty,
    repetitionPenalty: params.repetition_penalty,
    logitBias: params.logit_bias,
    minTokens: params.min_tokens,
  };
}
