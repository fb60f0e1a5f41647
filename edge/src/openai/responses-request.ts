import { TidarError } from '@tidar/shared/errors.ts';
import type { ChatMessage } from '@tidar/shared/chat.ts';
import type { GenerateRequest, ModelInfo } from '@tidar/shared/protocol.ts';
import type { CommonParameters } from './common-schema.ts';
import { assertFits, generateRequestOf, grammarOf, type NamedGrammar } from './generate-request.ts';
import type { ResponseRequest } from './responses-schema.ts';

/** The parameters that every route has, by the names of chat completions. */
export function commonOf(asked: ResponseRequest): CommonParameters {
  const { seed, stop, presence_penalty, frequency_penalty, logit_bias, ...tidar } = asked.tidar ?? {};
  const { model, temperature, top_p, stream } = asked;
  const user = asked.safety_identifier ?? asked.user;
  const own = { seed, stop, presence_penalty, frequency_penalty, logit_bias };
  return { model, temperature, top_p, stream, user, ...own, tidar };
}

/** The backend's request for a response; `before` is the conversation that it goes on with. */
export function responseGenerateRequest(
  asked: ResponseRequest,
  before: readonly ChatMessage[],
  model: ModelInfo,
  requestId: string,
): GenerateRequest {
  assertFits(asked.max_output_tokens ?? undefined, 'max_output_tokens', model);
  const common = commonOf(asked);
  const parts = {
    input: { type: 'chat' as const, messages: messagesOf(asked, before), parallel_tool_calls: true },
    maxTokens: asked.max_output_tokens ?? undefined,
    logprobs: logprobsOf(asked),
    grammar: grammarOf(common, formatsOf(asked)),
    promptLogprobs: asked.tidar?.prompt_logprobs,
    store: asked.store !== false,
  };
  return generateRequestOf(common, parts, model, requestId);
}

/** The instructions are this response's own: those of the ones before are not among `before`. */
export function messagesOf(
  { instructions, input }: Pick<ResponseRequest, 'instructions' | 'input'>,
  before: readonly ChatMessage[],
): ChatMessage[] {
  const items = typeof input === 'string' ? [{ role: 'user' as const, content: input }] : input;
  return [
    ...(instructions == null ? [] : [{ role: 'system' as const, content: instructions }]),
    ...before,
    ...items.map(({ role, content }) => ({
      role: role === 'developer' ? ('system' as const) : role,
      content: typeof content === 'string' ? content : content.map(({ text }) => text).join(''),
    })),
  ];
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
