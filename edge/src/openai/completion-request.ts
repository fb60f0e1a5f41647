import { TidarError } from '@tidar/shared/errors.ts';
import {
  type GenerateInput,
  type GenerateRequest,
  MAX_PROMPT_LOGPROBS,
  type ModelInfo,
} from '@tidar/shared/protocol.ts';
import type { CompletionRequest } from './completion-schema.ts';
import { assertFits, generateRequestOf, grammarOf } from './generate-request.ts';

/** OpenAI's own default. */
const DEFAULT_MAX_TOKENS = 16;

/** The backend's request for a completion. */
export function completionGenerateRequest(
  asked: CompletionRequest,
  model: ModelInfo,
  requestId: string,
): GenerateRequest {
  const input = inputOf(asked);
  assertBestOf(asked);
  assertEcho(asked, input);
  assertFits(asked.max_tokens ?? undefined, 'max_tokens', model);
  const logprobs = asked.logprobs ?? undefined;
  const parts = {
    input,
    maxTokens: asked.max_tokens ?? DEFAULT_MAX_TOKENS,
    grammar: grammarOf(asked),
    logprobs,
    promptLogprobs: asked.echo === true && logprobs !== undefined ? logprobs : asked.tidar?.prompt_logprobs,
    store: true,
  };
  return generateRequestOf(asked, parts, model, requestId);
}

/** The text that `echo` puts before each choice; undefined without it. */
export function echoOf(asked: CompletionRequest): string | undefined {
  const input = inputOf(asked);
  return asked.echo === true && input.type === 'text' ? input.text : undefined;
}

function inputOf({ prompt }: CompletionRequest): GenerateInput {
  if (typeof prompt === 'string') return { type: 'text', text: prompt };
  const [first] = prompt;
  if (typeof first === 'string') return { type: 'text', text: first };
  return { type: 'tokens', token_ids: Array.isArray(first) ? first : prompt.filter(isNumber) };
}

const isNumber = (value: unknown): value is number => typeof value === 'number';

function assertBestOf({ best_of: bestOf, n }: CompletionRequest): void {
  if (bestOf == null || bestOf === (n ?? 1)) return;
  throw refusal('best_of', "'best_of' can only be 'n': no answer is generated that is not sent.");
}

function assertEcho({ echo, logprobs, tidar }: CompletionRequest, input: GenerateInput): void {
  if (echo !== true) return;
  if (input.type === 'tokens') {
    throw refusal('echo', "'echo' needs a prompt of text: the ids of tokens are their sender's to spell.");
  }
  if (logprobs == null) return;
  if (logprobs > MAX_PROMPT_LOGPROBS) {
    throw refusal('logprobs', `With 'echo', 'logprobs' is at most ${MAX_PROMPT_LOGPROBS}.`);
  }
  if (tidar?.prompt_logprobs !== undefined) {
    const message = "'tidar.prompt_logprobs' is told by 'echo' with 'logprobs' already: leave it out.";
    throw refusal('tidar.prompt_logprobs', message);
  }
}

function refusal(param: string, message: string): TidarError {
  return new TidarError('invalid_request', message, { param });
}
