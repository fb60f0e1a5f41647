import { TidarError } from '@tidar/shared/errors.ts';
import type { ChatRequest } from './chat-schema.ts';

/** What the protocol's parameters are called here, where they are called otherwise. */
const NAMES: Readonly<Record<string, string>> = {
  prompt: 'messages',
  input: 'messages',
  num_choices: 'n',
  logprobs: 'top_logprobs',
  top_k: 'tidar.top_k',
  min_p: 'tidar.min_p',
  repetition_penalty: 'tidar.repetition_penalty',
  min_tokens: 'tidar.min_tokens',
  ignore_eos: 'tidar.ignore_eos',
  stop_token_ids: 'tidar.stop_token_ids',
  prompt_logprobs: 'tidar.prompt_logprobs',
  decoder: 'tidar.decoder',
  plan: 'tidar.plan',
  draft_length: 'tidar.draft_length',
  beta: 'tidar.beta',
  block_length: 'tidar.block_length',
  strategy: 'tidar.strategy',
  tokens_per_pass: 'tidar.tokens_per_pass',
  threshold: 'tidar.threshold',
};

/** The same error with the name by which this client gave the parameter that the backend found at fault. */
export function inClientTerms(error: TidarError, chat: ChatRequest): TidarError {
  if (error.param === undefined) return error;
  const param = clientName(error.param, chat);
  if (param === error.param) return error;
  const { code, message, retryable, internal, retryAfterMs } = error;
  return new TidarError(code, message, {
    param,
    retryable,
    cause: error,
    ...(internal === undefined ? {} : { internal }),
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  });
}

function clientName(param: string, chat: ChatRequest): string {
  const name = param.replace(/^(sampling|decoder)\./, '');
  if (/^(grammar|response_format)(\.|$)/.test(name)) return grammarName(chat);
  if (name === 'max_tokens' && chat.max_completion_tokens != null) return 'max_completion_tokens';
  return NAMES[name] ?? name;
}

function grammarName({ tidar }: ChatRequest): string {
  if (tidar?.regex !== undefined) return 'tidar.regex';
  return tidar?.grammar === undefined ? 'response_format' : 'tidar.grammar';
}
