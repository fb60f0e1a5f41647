import type { TidarError } from '@tidar/shared/errors.ts';
import { parseJson } from '@tidar/shared/parse.ts';
import type { ChatMessage } from '@tidar/shared/chat.ts';
import type { GenerateRequest, ModelInfo } from '@tidar/shared/protocol.ts';
import type { AnswerFormat } from './answer-format.ts';
import { formatOf } from './answer-formats.ts';
import type { AnswerTerms } from './answer-terms.ts';
import { toGenerateRequest } from './chat-request.ts';
import { chatRequestSchema } from './chat-schema.ts';
import type { CommonParameters } from './common-schema.ts';
import { completionGenerateRequest } from './completion-request.ts';
import { completionRequestSchema } from './completion-schema.ts';
import { chatNames, completionNames, inClientTerms, responseNames } from './param-names.ts';
import { commonOf, messagesOf, responseGenerateRequest } from './responses-request.ts';
import { responseRequestSchema } from './responses-schema.ts';
import { responseTermsOf } from './responses-terms.ts';

/** A request for text, whatever route it came by. */
export interface Question {
  asked: CommonParameters;
  metadata: Record<string, string> | undefined;
  /** The answer whose conversation it goes on with; the others here take that as `before`. */
  previousId?: string | undefined;
  /** How its prompt begins: who shares it is sent to the same backend. */
  prefix(before: readonly ChatMessage[]): object;
  /** What the ledger keeps of the form of its answer. */
  terms: AnswerTerms;
  format: AnswerFormat;
  toGenerate(model: ModelInfo, requestId: string, before: readonly ChatMessage[]): GenerateRequest;
  /** The same error with the name by which this client gave the parameter that the backend found at fault. */
  inClientTerms(error: TidarError): TidarError;
}

export function chatQuestion(body: string): Question {
  const chat = parseJson(chatRequestSchema, body);
  const terms = { route: 'chat' as const };
  return {
    asked: chat,
    metadata: chat.metadata ?? undefined,
    prefix: () => ({ messages: chat.messages }),
    terms,
    format: formatOf(terms),
    toGenerate: (model, requestId) => toGenerateRequest(chat, model, requestId),
    inClientTerms: (error) => inClientTerms(error, chatNames(chat)),
  };
}

export function completionQuestion(body: string): Question {
  const asked = parseJson(completionRequestSchema, body);
  const terms = { route: 'completions' as const, echo: asked.echo === true };
  return {
    asked,
    metadata: undefined,
    prefix: () => ({ prompt: asked.prompt }),
    terms,
    format: formatOf(terms),
    toGenerate: (model, requestId) => completionGenerateRequest(asked, model, requestId),
    inClientTerms: (error) => inClientTerms(error, completionNames(asked)),
  };
}

export function responseQuestion(body: string): Question {
  const asked = parseJson(responseRequestSchema, body);
  const { prompt_cache_key: cacheKey } = asked;
  const terms = responseTermsOf(asked);
  return {
    asked: commonOf(asked),
    metadata: asked.metadata ?? undefined,
    previousId: asked.previous_response_id ?? undefined,
    prefix: (before) => (cacheKey == null ? { messages: messagesOf(asked, before) } : { cacheKey }),
    terms,
    format: formatOf(terms),
    toGenerate: (model, requestId, before) => responseGenerateRequest(asked, before, model, requestId),
    inClientTerms: (error) => inClientTerms(error, responseNames(asked)),
  };
}
