import type { TidarError } from '@tidar/shared/errors.ts';
import { parseJson } from '@tidar/shared/parse.ts';
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
import { messagesOf, type Recalled, referencesOf } from './responses-input.ts';
import { commonOf, responseGenerateRequest } from './responses-request.ts';
import { responseRequestSchema } from './responses-schema.ts';
import { responseTermsOf } from './responses-terms.ts';

/** Earlier answers, by their ids. */
export interface References {
  /** Whose conversation it goes on with. */
  previous: string | undefined;
  /** Of which it has items. */
  answers: readonly string[];
}

/** A request for text, whatever route it came by. */
export interface Question {
  asked: CommonParameters;
  metadata: Record<string, string> | undefined;
  /** The earlier answers that it refers to. */
  refersTo?: References;
  /** How its prompt begins: who shares it is sent to the same backend. */
  prefix(recalled: Recalled): object;
  /** What the ledger keeps of the form of its answer. */
  terms: AnswerTerms;
  format: AnswerFormat;
  toGenerate(model: ModelInfo, requestId: string, recalled: Recalled): GenerateRequest;
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
    refersTo: { previous: asked.previous_response_id ?? undefined, answers: referencesOf(asked) },
    prefix: (recalled) => (cacheKey == null ? { messages: messagesOf(asked, recalled) } : { cacheKey }),
    terms,
    format: formatOf(terms),
    toGenerate: (model, requestId, recalled) => responseGenerateRequest(asked, recalled, model, requestId),
    inClientTerms: (error) => inClientTerms(error, responseNames(asked)),
  };
}
