import { TidarError } from '@tidar/shared/errors.ts';
import type {
  ChatMessage,
  GenerateRequest,
  Grammar,
  ModelInfo,
  SamplingParams,
} from '@tidar/shared/protocol.ts';
import { type Hold, holdWith, type Price } from '../ledger/price.ts';
import type { ChatRequest } from './chat-schema.ts';
import { decoderOf } from './decoder.ts';

/** The backend's request for an OpenAI one. The seed is always set, so that an answer can be had again. */
export function toGenerateRequest(chat: ChatRequest, model: ModelInfo, requestId: string): GenerateRequest {
  const maxTokens = maxTokensOf(chat, model);
  const numLogprobs = logprobsOf(chat);
  const grammar = grammarOf(chat);
  const { tidar } = chat;
  return {
    request_id: requestId,
    model: model.id,
    input: { type: 'chat', messages: chat.messages.map(toMessage) },
    num_choices: chat.n ?? 1,
    ...(maxTokens === undefined ? {} : { max_tokens: maxTokens }),
    stop: typeof chat.stop === 'string' ? [chat.stop] : (chat.stop ?? []),
    stop_token_ids: tidar?.stop_token_ids ?? [],
    ignore_eos: tidar?.ignore_eos ?? false,
    sampling: samplingOf(chat),
    decoder: decoderOf(chat, model),
    ...(grammar === undefined ? {} : { grammar }),
    ...(numLogprobs === undefined ? {} : { logprobs: numLogprobs }),
    ...(tidar?.prompt_logprobs === undefined ? {} : { prompt_logprobs: tidar.prompt_logprobs }),
    trace: tidar?.trace ?? 'none',
    store: chat.store !== false,
  };
}

/** No more than this can be billed: the prompt's bytes and its template's, and each choice's limit. */
export function holdOf(request: GenerateRequest, body: Uint8Array, model: ModelInfo, price: Price): Hold {
  const { context_length: contextLength } = model;
  const maxTokens = Math.min(request.max_tokens ?? contextLength, contextLength);
  // A token is at least a byte of the prompt, and the body's own JSON outweighs a template's few tokens.
  const promptBound = Math.min(body.byteLength, contextLength);
  // A longer prompt costs more until it takes the room from the choices, which all of them lose.
  const dearest = Math.min(promptBound, contextLength - maxTokens);
  const limits = { numChoices: request.num_choices, maxTokens, contextLength };
  const atMost = holdWith({ promptTokens: dearest, cachedTokens: 0 }, limits, price);
  // Unless a token of the prompt costs more than one of each choice.
  const longest = holdWith({ promptTokens: promptBound, cachedTokens: 0 }, limits, price);
  return { tokens: atMost.tokens, nanos: Math.max(atMost.nanos, longest.nanos) };
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
  if (maxTokens !== undefined && maxTokens > model.context_length) {
    const param = current == null ? 'max_tokens' : 'max_completion_tokens';
    const message = `'${param}' is ${maxTokens}, but the context of '${model.id}' has ${model.context_length} tokens.`;
    throw new TidarError('invalid_request', message, { param });
  }
  return maxTokens;
}

function samplingOf(chat: ChatRequest): SamplingParams {
  const { tidar } = chat;
  return {
    temperature: chat.temperature ?? 1,
    top_p: chat.top_p ?? 1,
    top_k: tidar?.top_k ?? 0,
    min_p: tidar?.min_p ?? 0,
    presence_penalty: chat.presence_penalty ?? 0,
    frequency_penalty: chat.frequency_penalty ?? 0,
    repetition_penalty: tidar?.repetition_penalty ?? 1,
    logit_bias: chat.logit_bias ?? [],
    min_tokens: tidar?.min_tokens ?? 0,
    seed: seedOf(chat.seed ?? undefined),
  };
}

/** How many alternatives beside each token; undefined where no log-probabilities are asked for. */
function logprobsOf({ logprobs, top_logprobs: topLogprobs }: ChatRequest): number | undefined {
  if (logprobs === true) return topLogprobs ?? 0;
  if (topLogprobs == null || topLogprobs === 0) return undefined;
  const message = "'top_logprobs' means nothing without 'logprobs': set that to true.";
  throw new TidarError('invalid_request', message, { param: 'top_logprobs' });
}

/** The form that the text must have, given in one of the ways that there are. */
function grammarOf({ response_format: format, tidar }: ChatRequest): Grammar | undefined {
  const given: [name: string, grammar: Grammar][] = [];
  if (format?.type === 'json_object') given.push(['response_format', { type: 'json_object' }]);
  if (format?.type === 'json_schema') {
    const { schema } = format.json_schema;
    const grammar = schema === undefined ? { type: 'json_object' as const } : { type: format.type, schema };
    given.push(['response_format', grammar]);
  }
  if (tidar?.regex !== undefined) given.push(['tidar.regex', { type: 'regex', pattern: tidar.regex }]);
  if (tidar?.grammar !== undefined) given.push(['tidar.grammar', { type: 'grammar', ebnf: tidar.grammar }]);
  const [first, second] = given;
  if (first !== undefined && second !== undefined) {
    const message = `'${second[0]}' and '${first[0]}' both rule the text's form: give only one of them.`;
    throw new TidarError('invalid_request', message, { param: second[0] });
  }
  return first?.[1];
}

/** A negative seed stands for its 64 bits; without one, the edge draws one. */
function seedOf(seed: string | number | undefined): string {
  if (seed === undefined) return String(crypto.getRandomValues(new BigUint64Array(1))[0]);
  const bits = BigInt(seed);
  if (bits !== BigInt.asUintN(64, bits) && bits !== BigInt.asIntN(64, bits)) {
    throw new TidarError('invalid_request', "'seed' has more than 64 bits.", { param: 'seed' });
  }
  return String(BigInt.asUintN(64, bits));
}
