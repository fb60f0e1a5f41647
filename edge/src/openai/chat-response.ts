import type {
  EndEvent,
  FinishEvent,
  FinishReason,
  StartEvent,
  StepEvent,
  StepStats,
  TokenLogprob,
  TokenScore,
  Usage,
} from '@tidar/shared/protocol.ts';
import { encodeSse } from '@tidar/shared/sse.ts';

/** An event with how far the client has the answer once it has it: the SSE id of its chunk. */
export interface AnswerEvent {
  event: StepEvent | FinishEvent | EndEvent;
  id: string;
}
export type AnswerEvents = AsyncGenerator<AnswerEvent, void, void>;

export interface ChatAnswer {
  requestId: string;
  /** Unix time in seconds. */
  created: number;
  start: StartEvent;
  numChoices: number;
}

export interface StreamForm {
  includeUsage: boolean;
  /** Where the client has the answer already: its beginning is not told again. */
  resumedAt?: string | undefined;
}

/** One forward pass of one choice, as `tidar.trace: 'stats'` shows it. */
type StepTrace = StepStats & { choice: number; token_ids: number[] };

interface Delta {
  role?: 'assistant';
  content?: string;
}

/** A choice of an answer that is not streamed, while it grows. */
interface Choice {
  content: string;
  logprobs: TokenLogprob[] | undefined;
  finishReason: FinishReason | undefined;
}

/** The whole answer at once. */
export async function chatCompletion(answer: ChatAnswer, events: AnswerEvents): Promise<object> {
  const choices = Array.from({ length: answer.numChoices }, (): Choice => ({
    content: '',
    logprobs: undefined,
    finishReason: undefined,
  }));
  const steps: StepTrace[] = [];
  for await (const { event } of events) {
    if (event.type === 'end') return completion(answer, choices, steps, event);
    const choice = choices[event.choice];
    if (choice === undefined) throw new Error(`there is no choice ${event.choice}`);
    if (event.type === 'finish') {
      choice.finishReason = event.finish_reason;
      continue;
    }
    choice.content += event.text;
    if (event.logprobs !== undefined) (choice.logprobs ??= []).push(...event.logprobs);
    const trace = traceOf(event);
    if (trace !== undefined) steps.push(trace);
  }
  throw new Error('a generation ends with an end event or an exception');
}

/**
 * The answer as OpenAI streams it: the role of each choice first, the choices' texts as they come, each choice's
 * finish reason, the usage if asked for, `[DONE]`. The last finish reason waits for the end, and with it the bill.
 */
export async function* chatChunks(
  answer: ChatAnswer,
  events: AnswerEvents,
  { includeUsage, resumedAt }: StreamForm,
): AsyncGenerator<string, void, void> {
  let position = resumedAt ?? Array<number>(answer.numChoices).fill(0).join();
  const chunk = (choices: object[], extra: object = {}): string =>
    // With usage asked for, every chunk has the field; it is null in all but the last.
    encode(
      {
        ...head(answer, 'chat.completion.chunk'),
        choices,
        ...(includeUsage ? { usage: null } : {}),
        ...extra,
      },
      position,
    );
  if (resumedAt === undefined) {
    for (let index = 0; index < answer.numChoices; index += 1) {
      const extra = index === 0 ? { tidar: startOf(answer.start) } : {};
      yield chunk([choiceOf(index, { role: 'assistant', content: '' })], extra);
    }
  }
  let numOpen = answer.numChoices;
  let last: object[] = [];
  for await (const { event, id } of events) {
    position = id;
    if (event.type === 'step') {
      const tidar = traceOf(event);
      if (event.text === '' && tidar === undefined && event.logprobs === undefined) continue;
      const choice = choiceOf(event.choice, { content: event.text }, null, event.logprobs);
      yield chunk([choice], tidar === undefined ? {} : { tidar });
    } else if (event.type === 'finish') {
      numOpen -= 1;
      last = [choiceOf(event.choice, {}, event.finish_reason)];
      if (numOpen > 0) yield chunk(last);
    } else {
      yield chunk(last, { tidar: { num_forward_passes: event.usage.num_forward_passes } });
      if (includeUsage) yield chunk([], { usage: usageOf(event.usage) });
    }
  }
  yield encodeSse({ data: '[DONE]' });
}

function completion(answer: ChatAnswer, choices: Choice[], steps: StepTrace[], { usage }: EndEvent): object {
  return {
    ...head(answer, 'chat.completion'),
    choices: choices.map(({ content, logprobs, finishReason }, index) => ({
      index,
      message: { role: 'assistant', content, refusal: null },
      logprobs: logprobsOf(logprobs),
      finish_reason: finishReason,
    })),
    usage: usageOf(usage),
    tidar: {
      ...startOf(answer.start),
      num_forward_passes: usage.num_forward_passes,
      ...(steps.length === 0 ? {} : { steps }),
    },
  };
}

function head({ requestId, created, start }: ChatAnswer, object: string): object {
  const id = `chatcmpl-${requestId.replace(/^req_/, '')}`;
  return { id, object, created, model: start.model, system_fingerprint: start.fingerprint };
}

/** What is known from the start on: the seed, and the prompt's log-probabilities where they are asked for. */
function startOf({ seed, prompt_logprobs: promptLogprobs }: StartEvent): object {
  if (promptLogprobs === undefined) return { seed };
  return { seed, prompt_logprobs: promptLogprobs.map((logprob) => logprob && contentOf(logprob)) };
}

function choiceOf(
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

function usageOf({ prompt_tokens, completion_tokens, cached_tokens }: Usage): object {
  return {
    prompt_tokens,
    completion_tokens,
    total_tokens: prompt_tokens + completion_tokens,
    prompt_tokens_details: { cached_tokens },
  };
}

function traceOf({ choice, stats, token_ids }: StepEvent): StepTrace | undefined {
  return stats === undefined ? undefined : { choice, token_ids, ...stats };
}

const encode = (value: object, id: string): string => encodeSse({ id, data: JSON.stringify(value) });
