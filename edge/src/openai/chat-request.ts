import { TidarError } from '@tidar/shared/errors.ts';
import type { ChatMessage, GenerateRequest, ModelInfo } from '@tidar/shared/protocol.ts';
import type { ChatRequest } from './chat-schema.ts';
import { assertFits, generateRequestOf, grammarOf, type NamedGrammar } from './generate-request.ts';

/** The backend's request for a chat completion. */
export function toGenerateRequest(chat: ChatRequest, model: ModelInfo, requestId: string): GenerateRequest {
  const parts = {
    input: { type: 'chat' as const, messages: chat.messages.map(toMessage) },
    maxTokens: maxTokensOf(chat, model),
    logprobs: logprobsOf(chat),
    grammar: grammarOf(chat, formatsOf(chat)),
    promptLogprobs: chat.tidar?.prompt_logprobs,
    store: chat.store !== false,
  };
  return generateRequestOf(chat, parts, model, requestId);
}

function toMessage({ role, content }: ChatRequest['messages'][number]): ChatMessage {
  return {
    role: role === 'developer' ? 'system' : role,
    content: typeof content === 'string' ? content : content.map(({ text }) => text).join(''),
  };
}

function maxTokensOf(chat: ChatRequest, model: ModelInfo): number | undefined {
  const { max_tokens: old, max_completion_tokens: current } = chat;
  if (old != null && current != null) {
    const message = "'max_tokens' and 'max_completion_tokens' mean the same: give only one of them.";
    throw new TidarError('invalid_request', message, { param: 'max_tokens' });
  }
  const maxTokens = current ?? old ?? undefined;
  assertFits(maxTokens, current == null ? 'max_tokens' : 'max_completion_tokens', model);
  return maxTokens;
}

/** How many alternatives beside each token; undefined where no log-probabilities are asked for. */
function logprobsOf({ logprobs, top_logprobs: topLogprobs }: ChatRequest): number | undefined {
  if (logprobs === true) return topLogprobs ?? 0;
  if (topLogprobs == null || topLogprobs === 0) return undefined;
  const message = "'top_logprobs' means nothing without 'logprobs': set that to true.";
  throw new TidarError('invalid_request', message, { param: 'top_logprobs' });
}

function formatsOf({ response_format: format }: ChatRequest): NamedGrammar[] {
  if (format?.type === 'json_object') return [['response_format', { type: 'json_object' }]];
  if (format?.type !== 'json_schema') return [];
  const { schema } = format.json_schema;
  const grammar = schema === undefined ? { type: 'json_object' as const } : { type: format.type, schema };
  return [['response_format', grammar]];
}
