import { TidarError } from '@tidar/shared/errors.ts';
import type { GenerateRequest, ModelInfo } from '@tidar/shared/protocol.ts';
import { chatInputOf } from './chat-input.ts';
import type { CommonParameters } from './common-schema.ts';
import { assertFits, generateRequestOf, grammarOf, type NamedGrammar } from './generate-request.ts';
import { messagesOf, type Recalled } from './responses-input.ts';
import type { ResponseRequest } from './responses-schema.ts';

/** The parameters that every route has, by the names of chat completions. */
export function commonOf(asked: ResponseRequest): CommonParameters {
  const { chat_template_kwargs: _, ...extension } = asked.tidar ?? {};
  const { seed, stop, presence_penalty, frequency_penalty, logit_bias, ...tidar } = extension;
  const { model, temperature, top_p, stream } = asked;
  const user = asked.safety_identifier ?? asked.user;
  const own = { seed, stop, presence_penalty, frequency_penalty, logit_bias };
  return { model, temperature, top_p, stream, user, ...own, tidar };
}

/** The backend's request for a response. */
export function responseGenerateRequest(
  asked: ResponseRequest,
  recalled: Recalled,
  model: ModelInfo,
  requestId: string,
): GenerateRequest {
  assertFits(asked.max_output_tokens ?? undefined, 'max_output_tokens', model);
  const common = commonOf(asked);
  const { tools, tool_choice: choice, parallel_tool_calls: parallel } = asked;
  const parts = {
    input: chatInputOf({
      tools: tools ?? [],
      choice: typeof choice === 'object' && choice !== null ? { name: choice.name } : choice,
      parallel,
      variables: asked.tidar?.chat_template_kwargs,
      messages: messagesOf(asked, recalled),
    }),
    maxTokens: asked.max_output_tokens ?? undefined,
    logprobs: logprobsOf(asked),
    grammar: grammarOf(common, formatsOf(asked)),
    promptLogprobs: asked.tidar?.prompt_logprobs,
    store: asked.store !== false,
  };
  return generateRequestOf(common, parts, model, requestId);
}

/** How many alternatives beside each token; undefined where no log-probabilities are asked for. */
function logprobsOf({ include, top_logprobs: topLogprobs }: ResponseRequest): number | undefined {
  if (include != null && include.length > 0) return topLogprobs ?? 0;
  if (topLogprobs == null || topLogprobs === 0) return undefined;
  const message =
    "'top_logprobs' means nothing without 'include': set that to ['message.output_text.logprobs'].";
  throw new TidarError('invalid_request', message, { param: 'top_logprobs' });
}

function formatsOf({ text }: ResponseRequest): NamedGrammar[] {
  const format = text?.format;
  if (format?.type === 'json_object') return [['text.format', { type: 'json_object' }]];
  if (format?.type !== 'json_schema') return [];
  return [['text.format', { type: format.type, schema: format.schema }]];
}
