import { TidarError } from '@tidar/shared/errors.ts';
import type { LeasePayload } from '@tidar/shared/lease.ts';
import type { GenerateInput, GenerateRequest } from '@tidar/shared/protocol.ts';
import type { Decoder } from '../decode/generate.ts';
import { assertOptions } from '../decode/generate.ts';
import type { ModelFolder } from '../model/folder.ts';
import type { Tokenizer } from '../model/tokenizer.ts';
import type { EngineRequest } from './engine-messages.ts';

export interface PreparedRequest {
  readonly engineRequest: EngineRequest;
  readonly promptIds: readonly number[];
  readonly resumedIds: readonly number[];
  /** The lease grants fewer tokens than the request may take: reaching the last one ends the lease, not the text. */
  readonly endsWithLease: boolean;
}

/**
 * Turns a request into token ids and checks all that can be checked before anything is started. It runs on the main
 * thread: what is refused never takes time from the sequences that the engine is decoding.
 */
export function prepareRequest(
  folder: ModelFolder,
  request: GenerateRequest,
  lease: LeasePayload,
): PreparedRequest {
  const { config, tokenizer } = folder;
  const promptIds = request.resume?.prompt_token_ids ?? tokenise(request.input, tokenizer);
  const resumedIds = request.resume?.token_ids ?? [];
  const decoder = toDecoder(request.decoder);
  const maxTokens = request.max_tokens ?? roomFor(promptIds, decoder, config.maxPositions);
  const { temperature, top_k: topK, top_p: topP, min_p: minP, seed } = request.sampling;
  const options = {
    promptIds,
    maxTokens,
    decoder,
    sampling: { temperature, topK, topP, minP, seed: BigInt(seed) },
    stopTokenIds: request.stop_token_ids ?? [],
    committedIds: resumedIds,
  };
  assertOptions(options, config);
  assertResume(resumedIds, maxTokens);
  assertStop(request, tokenizer);
  const generate = { ...options, maxTokens: Math.min(maxTokens, lease.end_token) };
  return {
    engineRequest: { generate, stop: request.stop },
    promptIds,
    resumedIds,
    endsWithLease: lease.end_token < maxTokens,
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
  return input.type === 'chat' ? tokenizer.encodeChat(input.messages) : tokenizer.encode(input.text);
}

function toDecoder(decoder: GenerateRequest['decoder']): Decoder {
  if (decoder.type === 'ar') return decoder;
  return { type: 'tidar', draftLength: decoder.draft_length, beta: decoder.beta };
}

/** As many tokens as the context has room for; at least 1, which a full context then refuses by its numbers. */
function roomFor(promptIds: readonly number[], decoder: Decoder, contextLength: number): number {
  const numBlockPositions = decoder.type === 'tidar' && decoder.beta < 1 ? 2 * decoder.draftLength : 0;
  return Math.max(1, contextLength - promptIds.length - numBlockPositions);
}

function assertResume(resumedIds: readonly number[], maxTokens: number): void {
  if (resumedIds.length < maxTokens || resumedIds.length === 0) return;
  throw new TidarError(
    'invalid_request',
    `Nothing is left to resume: ${resumedIds.length} tokens of ${maxTokens} are there.`,
    { param: 'resume' },
  );
}

function assertStop({ stop }: GenerateRequest, tokenizer: Tokenizer | undefined): void {
  if (stop.length === 0) return;
  const refuse = (sentence: string): never => {
    throw new TidarError('invalid_request', sentence, { param: 'stop' });
  };
  if (tokenizer === undefined)
    refuse('This model has no tokenizer; use stop_token_ids in place of stop strings.');
  if (stop.some((text) => !text.isWellFormed())) refuse('A stop string is not well-formed text.');
}
