import { TidarError } from '@tidar/shared/errors.ts';
import type { ChatInput, ChatMessage } from '@tidar/shared/chat.ts';
import type { GenerateRequest, ModelInfo } from '@tidar/shared/protocol.ts';
import { chatInputOf } from './chat-input.ts';
import type { ChatRequest } from './chat-schema.ts';
import { assertFits, generateRequestOf, grammarOf, type NamedGrammar } from './generate-request.ts';

/** The backend's request for a chat completion. */
export function toGenerateRequest(chat: ChatRequest, model: ModelInfo, requestId: string): GenerateRequest {
  const parts = {
    input: inputOf(chat),
    maxTokens: maxTokensOf(chat, model),
    logprobs: logprobsOf(chat),
    grammar: grammarOf(chat, formatsOf(chat)),
    promptLogprobs: chat.tidar?.prompt_logprobs,
    store: chat.store !== false,
  };
  return generateRequestOf(chat, parts, model, requestId);
}

function inputOf(chat: ChatRequest): ChatInput {
  const { tools, tool_choice: choice, parallel_tool_calls: parallel, chat_template_kwargs: variables } = chat;
  return chatInputOf({
    tools: (tools ?? []).map((tool) => tool.function),
    choice: typeof choice === 'object' && choice !== null ? choice.function : choice,
    parallel,
    variables,
    messages: chat.messages.map(toMessage),
  });
}

function toMessage(message: ChatRequest['messages'][number]): ChatMessage {
  const content = textOf(message.content);
  if (message.role === 'tool') return { role: 'tool', content, tool_call_id: message.tool_call_id };
  if (message.role !== 'assistant')
    return { role: message.role === 'developer' ? 'system' : message.role, content };
  const calls = (message.tool_calls ?? []).map(({ id, function: called }) => ({ id, ...called }));
  return {
    role: 'assistant',
    content,
    ...(message.reasoning_content == null ? {} : { reasoning: message.reasoning_content }),
    ...(calls.length === 0 ? {} : { tool_calls: calls }),
  };
}

function textOf(content: ChatRequest['messages'][number]['content']): string {
  return typeof content === 'string' ? content : (content ?? []).map(({ text }) => text).join('');
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
