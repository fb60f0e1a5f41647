import type { TidarError } from '@tidar/shared/errors.ts';
import type { GenerateRequest, StartEvent } from '@tidar/shared/protocol.ts';
import { encodeSse } from '@tidar/shared/sse.ts';
import { parsePosition, type Position } from '../relay/position.ts';
import { type AnswerEvents, answerChunks, type StreamForm, wholeAnswer } from './answer.ts';
import type { AnswerShape } from './answer-shape.ts';
import { openAiErrorBody } from './errors.ts';

/** What is known of an answer before its first token. */
export interface AnswerHead {
  requestId: string;
  /** Unix time in seconds. */
  created: number;
  start: StartEvent;
  numChoices: number;
  /** What the backend was asked; undefined where nobody knows it any more. */
  request: GenerateRequest | undefined;
}

/** How the answers of a route are written. */
export interface AnswerFormat {
  /** Where the relaying begins for a client that has the event of this id; undefined: it is no such id. */
  placeOf(eventId: string, numChoices: number): Position | undefined;
  /** The whole answer at once. */
  whole(head: AnswerHead, events: AnswerEvents): Promise<object>;
  /** The answer as server-sent events. */
  chunks(head: AnswerHead, events: AnswerEvents, form: StreamForm): AsyncGenerator<string, void, void>;
  /** Whether a chunk is the last of a whole answer. */
  isLast(chunk: string): boolean;
  /** What tells of a failure in mid-stream, after this chunk. */
  failure(error: TidarError, last: string): string;
}

/** Of chat completions and completions. `shapeOf` may need the request of an answer that is read again. */
export function choiceFormat(shapeOf: (request: GenerateRequest | undefined) => AnswerShape): AnswerFormat {
  return {
    placeOf: parsePosition,
    whole: ({ request, ...head }, events) => wholeAnswer({ ...head, shape: shapeOf(request) }, events),
    chunks: ({ request, ...head }, events, form) =>
      answerChunks({ ...head, shape: shapeOf(request) }, events, form),
    isLast: (chunk) => chunk.startsWith('data: [DONE]'),
    failure: (error) => encodeSse({ data: JSON.stringify(openAiErrorBody(error)) }),
  };
}
