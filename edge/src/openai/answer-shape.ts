import type { ToolCallPiece } from '@tidar/shared/chat.ts';
import type {
  FinishReason,
  StartEvent,
  StepEvent,
  TokenLogprob,
  TokenScore,
} from '@tidar/shared/protocol.ts';

/** A choice of an answer that is not streamed, once it has ended. */
export interface WholeChoice {
  content: string;
  /** What the model thought before; empty where it did not. */
  reasoning: string;
  calls: readonly WholeCall[];
  logprobs: readonly TokenLogprob[] | undefined;
  finishReason: FinishReason | undefined;
}

/** A call of a tool, once it is complete. */
export interface WholeCall {
  id: string;
  name: string;
  arguments: string;
}

/** What a step adds to a choice. */
export type ChoicePart = Pick<StepEvent, 'text' | 'reasoning' | 'tool_calls' | 'logprobs'>;

/** Writes the choices of one answer in the form of its route. */
export interface ChoiceWriter {
  /** What is told of the start in the `tidar` object. */
  start(): object;
  /** The first chunk of a choice; a stream that goes on somewhere has none. */
  opening(index: number): object;
  part(index: number, part: ChoicePart): object;
  finish(index: number, reason: FinishReason): object;
  whole(index: number, choice: WholeChoice): object;
}

/** What the answers of a route look like. */
export interface AnswerShape {
  /** Of the ids of its answers. */
  prefix: string;
  object: string;
  chunkObject: string;
  writer(start: StartEvent): ChoiceWriter;
}

interface Delta {
  role?: 'assistant';
  content?: string;
  reasoning_content?: string;
  tool_calls?: object[];
}

export const CHAT_SHAPE: AnswerShape = {
  prefix: 'chatcmpl',
  object: 'chat.completion',
  chunkObject: 'chat.completion.chunk',
  writer: (start) => ({
    start: () => startOf(start),
    opening: (index) => chatChoice(index, { role: 'assistant', content: '' }),
    part: (index, part) => chatChoice(index, deltaOf(part), null, part.logprobs),
    finish: (index, reason) => chatChoice(index, {}, reason),
    whole: (index, choice) => ({
      index,
      message: messageOf(choice),
      logprobs: logprobsOf(choice.logprobs),
      finish_reason: choice.finishReason,
    }),
  }),
};

function messageOf({ content, reasoning, calls }: WholeChoice): object {
  return {
    role: 'assistant',
    // As OpenAI has it where there are calls alone.
    content: content === '' && calls.length > 0 ? null : content,
    refusal: null,
    ...(reasoning === '' ? {} : { reasoning_content: reasoning }),
    ...(calls.length === 0 ? {} : { tool_calls: calls.map(callOf) }),
  };
}

function callOf({ id, name, arguments: written }: WholeCall): object {
  return { id, type: 'function', function: { name, arguments: written } };
}

/** A chunk without news of its own, which log-probabilities bring, has an empty text. */
function deltaOf({ text, reasoning, tool_calls: calls }: ChoicePart): Delta {
  const hasOthers = reasoning !== undefined || calls !== undefined;
  return {
    ...(reasoning === undefined ? {} : { reasoning_content: reasoning }),
    ...(text === '' && hasOthers ? {} : { content: text }),
    ...(calls === undefined ? {} : { tool_calls: calls.map(callDelta) }),
  };
}

function callDelta({ index, id, name, arguments: more }: ToolCallPiece): object {
  if (name === undefined) return { index, function: { arguments: more } };
  return { index, id, type: 'function', function: { name, arguments: more } };
}

/** What is known from the start on: the seed, and the prompt's log-probabilities where they are asked for. */
export function startOf({ seed, prompt_logprobs: promptLogprobs }: StartEvent): object {
  if (promptLogprobs === undefined) return { seed };
  return { seed, prompt_logprobs: promptLogprobs.map((logprob) => logprob && contentOf(logprob)) };
}

function chatChoice(
  index: number,
  delta: Delta,
  finishReason: FinishReason | null = null,
  logprobs?: readonly TokenLogprob[],
): object {
  return { index, delta, logprobs: logprobsOf(logprobs), finish_reason: finishReason };
}

function logprobsOf(logprobs: readonly TokenLogprob[] | undefined): object | null {
  return logprobs === undefined ? null : { content: logprobs.map(contentOf), refusal: null };
}

function contentOf(logprob: TokenLogprob): object {
  return { ...scoreOf(logprob), top_logprobs: logprob.top.map(scoreOf) };
}

function scoreOf({ token, logprob, bytes }: TokenScore): object {
  return { token, logprob, bytes };
}
