import { TidarError } from '@tidar/shared/errors.ts';
import type {
  ChatMessage,
  Decoder,
  GenerateRequest,
  ModelInfo,
  SamplingParams,
} from '@tidar/shared/protocol.ts';
import type { ChatRequest } from './chat-schema.ts';

/** The backend's request for an OpenAI one. The seed is always set, so that an answer can be had again. */
export function toGenerateRequest(chat: ChatRequest, model: ModelInfo, requestId: string): GenerateRequest {
  const maxTokens = maxTokensOf(chat, model);
  return {
    request_id: requestId,
    model: model.id,
    input: { type: 'chat', messages: chat.messages.map(toMessage) },
    ...(maxTokens === undefined ? {} : { max_tokens: maxTokens }),
    stop: typeof chat.stop === 'string' ? [chat.stop] : (chat.stop ?? []),
    sampling: samplingOf(chat),
    decoder: decoderOf(chat, model),
    trace: chat.tidar?.trace ?? 'none',
  };
}

/** No more tokens than this can be billed: the prompt's bytes and its template's, and the answer's limit. */
export function holdTokens(request: GenerateRequest, body: Uint8Array, model: ModelInfo): number {
  // A token is at least a byte of the prompt, and the body's own JSON outweighs a template's few tokens.
  const promptBound = Math.min(body.byteLength, model.context_length);
  return Math.min(promptBound + (request.max_tokens ?? model.context_length), model.context_length);
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
  return {
    temperature: chat.temperature ?? 1,
    top_p: chat.top_p ?? 1,
    top_k: chat.tidar?.top_k ?? 0,
    min_p: chat.tidar?.min_p ?? 0,
    seed: seedOf(chat.seed ?? undefined),
  };
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

function decoderOf(chat: ChatRequest, model: ModelInfo): Decoder {
  const { decoder, draft_length: draftLength, beta } = chat.tidar ?? {};
  const canDraft = model.block_size > 0;
  if (decoder === 'tidar' && !canDraft) {
    const message = `'${model.id}' has no diffusion mode: use decoder 'ar'.`;
    throw new TidarError('invalid_request', message, { param: 'tidar.decoder' });
  }
  if ((decoder ?? (canDraft ? 'tidar' : 'ar')) === 'tidar') {
    return { type: 'tidar', draft_length: draftLength ?? model.draft_length, beta: beta ?? 1 };
  }
  for (const [name, value] of Object.entries({ draft_length: draftLength, beta })) {
    if (value === undefined) continue;
    const message = `'tidar.${name}' means nothing to the decoder 'ar'.`;
    throw new TidarError('invalid_request', message, { param: `tidar.${name}` });
  }
  return { type: 'ar' };
}
