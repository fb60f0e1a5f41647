import type { GenerateRequest } from '@tidar/shared/protocol.ts';
import { type AnswerFormat, choiceFormat } from './answer-format.ts';
import { type AnswerShape, CHAT_SHAPE } from './answer-shape.ts';
import type { AnswerTerms } from './answer-terms.ts';
import { completionShape } from './completion-shape.ts';
import { responseFormat } from './responses-format.ts';

/** The form of an answer; without its terms, what its request tells of it. */
export function formatOf(terms: AnswerTerms | undefined): AnswerFormat {
  switch (terms?.route) {
    case 'chat':
      return choiceFormat(() => CHAT_SHAPE);
    case 'completions':
      return choiceFormat((request) => completionShape(terms.echo ? promptOf(request) : undefined));
    case 'responses':
      return responseFormat(terms);
    case undefined:
      return choiceFormat(shapeOf);
  }
}

function promptOf(request: GenerateRequest | undefined): string | undefined {
  return request?.input.type === 'text' ? request.input.text : undefined;
}

function shapeOf(request: GenerateRequest | undefined): AnswerShape {
  return request === undefined || request.input.type === 'chat' ? CHAT_SHAPE : completionShape();
}
