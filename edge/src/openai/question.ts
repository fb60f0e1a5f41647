import type { TidarError } from '@tidar/shared/errors.ts';
import { parseJson } from '@tidar/shared/parse.ts';
import type { GenerateRequest, ModelInfo } from '@tidar/shared/protocol.ts';
import { type AnswerShape, CHAT_SHAPE } from './answer-shape.ts';
import { toGenerateRequest } from './chat-request.ts';
import { chatRequestSchema } from './chat-schema.ts';
import type { CommonParameters } from './common-schema.ts';
import { completionGenerateRequest, echoOf } from './completion-request.ts';
import { completionRequestSchema } from './completion-schema.ts';
import { completionShape } from './completion-shape.ts';
import { chatNames, completionNames, inClientTerms } from './param-names.ts';

/** A request for text, whatever route it came by. */
export interface Question {
  asked: CommonParameters;
  metadata: Record<string, string> | undefined;
  /** How its prompt begins: who shares it is sent to the same backend. */
  prefix: object;
  shape: AnswerShape;
  toGenerate(model: ModelInfo, requestId: string): GenerateRequest;
  /** The same error with the name by which this client gave the parameter that the backend found at fault. */
  inClientTerms(error: TidarError): TidarError;
}

export function chatQuestion(body: string): Question {
  const chat = parseJson(chatRequestSchema, body);
  return {
    asked: chat,
    metadata: chat.metadata ?? undefined,
    prefix: { messages: chat.messages },
    shape: CHAT_SHAPE,
    toGenerate: (model, requestId) => toGenerateRequest(chat, model, requestId),
    inClientTerms: (error) => inClientTerms(error, chatNames(chat)),
  };
}

export function completionQuestion(body: string): Question {
  const asked = parseJson(completionRequestSchema, body);
  return {
    asked,
    metadata: undefined,
    prefix: { prompt: asked.prompt },
    shape: completionShape(echoOf(asked)),
    toGenerate: (model, requestId) => completionGenerateRequest(asked, model, requestId),
    inClientTerms: (error) => inClientTerms(error, completionNames(asked)),
  };
}

/** The form of an answer of which only the backend's request is known: it does not tell whether to echo the prompt. */
export function shapeFor(request: GenerateRequest | undefined): AnswerShape {
  return request === undefined || request.input.type === 'chat' ? CHAT_SHAPE : completionShape();
}
