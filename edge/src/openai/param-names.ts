import { TidarError } from '@tidar/shared/errors.ts';
import type { ChatRequest } from './chat-schema.ts';
import type { CommonParameters } from './common-schema.ts';
import type { CompletionRequest } from './completion-schema.ts';
import type { ResponseRequest } from './responses-schema.ts';

/** What the protocol's parameters are called here, where they are called otherwise. */
const NAMES: Readonly<Record<string, string>> = {
  num_choices: 'n',
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

/** What a response has no parameter for but the extension. */
const IN_EXTENSION = new Set(['seed', 'stop', 'presence_penalty', 'frequency_penalty', 'logit_bias']);

type Names = (param: string) => string;

/** What a chat completion calls the protocol's parameters. */
export const chatNames =
  (chat: ChatRequest): Names =>
  (param) => {
    if (param === 'prompt' || param === 'input') return 'messages';
    if (param === 'logprobs') return 'top_logprobs';
    if (param.startsWith('template_variables'))
      return param.replace('template_variables', 'chat_template_kwargs');
    if (isFormOfCalls(param, chat)) return 'tools';
    if (param === 'max_tokens' && chat.max_completion_tokens != null) return 'max_completion_tokens';
    return commonName(param, chat);
  };

/** The form of a text that has no other is that of the calls in it. */
function isFormOfCalls(param: string, chat: ChatRequest): boolean {
  const hasForm = chat.response_format != null && chat.response_format.type !== 'text';
  const isOwn = !hasForm && chat.tidar?.regex === undefined && chat.tidar?.grammar === undefined;
  return isOwn && chat.tools != null && /^(grammar|response_format)(\.|$)/.test(param);
}

/** What a completion calls them. */
export const completionNames =
  (asked: CompletionRequest): Names =>
  (param) => {
    if (param === 'input' || param === 'messages') return 'prompt';
    if (param === 'logprobs') return param;
    if (param === 'prompt_logprobs' && asked.echo === true) return 'logprobs';
    return commonName(param, asked);
  };

/** What a response calls them. */
export const responseNames =
  (asked: ResponseRequest): Names =>
  (param) => {
    if (param === 'prompt' || param === 'messages') return 'input';
    if (param === 'logprobs') return 'top_logprobs';
    if (param === 'max_tokens') return 'max_output_tokens';
    if (IN_EXTENSION.has(param)) return `tidar.${param}`;
    const name = commonName(param, { model: asked.model, tidar: asked.tidar });
    return name === 'response_format' ? 'text.format' : name;
  };

/** The same error with the name by which its client gave the parameter that the backend found at fault. */
export function inClientTerms(error: TidarError, names: Names): TidarError {
  const found = error.param ?? (error.code === 'context_length_exceeded' ? 'prompt' : undefined);
  if (found === undefined) return error;
  const param = names(found.replace(/^(sampling|decoder)\./, ''));
  return param === error.param ? error : withParam(error, param);
}

/** The same error of another parameter. */
export function withParam(error: TidarError, param: string): TidarError {
  const { code, message, retryable, internal, retryAfterMs } = error;
  return new TidarError(code, message, {
    param,
    retryable,
    cause: error,
    ...(internal === undefined ? {} : { internal }),
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  });
}

function commonName(name: string, asked: CommonParameters): string {
  return /^(grammar|response_format)(\.|$)/.test(name) ? grammarName(asked) : (NAMES[name] ?? name);
}

function grammarName({ tidar }: CommonParameters): string {
  if (tidar?.regex !== undefined) return 'tidar.regex';
  return tidar?.grammar === undefined ? 'response_format' : 'tidar.grammar';
}
