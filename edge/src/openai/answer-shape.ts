import type { FinishReason, StartEvent, TokenLogprob, TokenScore } from '@tidar/shared/protocol.ts';

/** A choice of an answer that is not streamed, once it has ended. */
export interface WholeChoice {
  content: string;
  logprobs: readonly TokenLogprob[] | undefined;
  finishReason: FinishReason | undefined;
}

/** Writes the choices of one answer in the form of its route. */
export interface ChoiceWriter {
  /** What is told of the start in the `tidar` object. */
  start(): object;
  /** The first chunk of a choice; a stream that goes on somewhere has none. */
  opening(index: number): object;
  part(index: number, text: string, logprobs?: readonly TokenLogprob[]): object;
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
}

export const CHAT_SHAPE: AnswerShape = {
  prefix: 'chatcmpl',
  object: 'chat.completion',
  chunkObject: 'chat.completion.chunk',
  writer: (start) => ({
    start: () => startOf(start),
    opening: (index) => chatChoice(index, { role: 'assistant', content: '' }),
    part: (index, text, logprobs) => chatChoice(index, { content: text }, null, logprobs),
    finish: (index, reason) => chatChoice(index, {}, reason),
    whole: (index, { content, logprobs, finishReason }) => ({
      index,
      message: { role: 'assistant', content, refusal: null },
      logprobs: logprobsOf(logprobs),
      finish_reason: finishReason,
    }),
  }),
};

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
