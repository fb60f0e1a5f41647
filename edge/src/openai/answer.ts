import type { ToolCallPiece } from '@tidar/shared/chat.ts';
import type {
  EndEvent,
  FinishEvent,
  StartEvent,
  StepEvent,
  StepStats,
  TokenLogprob,
  Usage,
} from '@tidar/shared/protocol.ts';
import { encodeSse } from '@tidar/shared/sse.ts';
import { sizeOf } from '../relay/step-parts.ts';
import type { AnswerShape, WholeCall, WholeChoice } from './answer-shape.ts';

/** An event with how far the client has the answer once it has it: the SSE id of its chunk. */
export interface AnswerEvent {
  event: StepEvent | FinishEvent | EndEvent;
  id: string;
}
export type AnswerEvents = AsyncGenerator<AnswerEvent, void, void>;

export interface TextAnswer {
  shape: AnswerShape;
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

/** One forward pass of one choice, as `tidar.trace` shows it; `trace` with 'full' alone. */
type StepTrace = StepStats & Pick<StepEvent, 'choice' | 'token_ids' | 'trace'>;

/** A choice of an answer that is not streamed, while it grows. */
type Choice = WholeChoice & { logprobs: TokenLogprob[] | undefined; calls: WholeCall[] };

/** The whole answer at once. */
export async function wholeAnswer(answer: TextAnswer, events: AnswerEvents): Promise<object> {
  const choices = Array.from({ length: answer.numChoices }, (): Choice => ({
    content: '',
    reasoning: '',
    calls: [],
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
    choice.reasoning += event.reasoning ?? '';
    for (const piece of event.tool_calls ?? []) addCall(choice.calls, piece);
    if (event.logprobs !== undefined) (choice.logprobs ??= []).push(...event.logprobs);
    const trace = traceOf(event);
    if (trace !== undefined) steps.push(trace);
  }
  throw new Error('a generation ends with an end event or an exception');
}

/**
 * The answer as OpenAI streams it: the opening of each choice first, the choices' texts as they come, each choice's
 * finish reason, the usage if asked for, `[DONE]`. The last finish reason waits for the end, and with it the bill.
 */
export async function* answerChunks(
  answer: TextAnswer,
  events: AnswerEvents,
  { includeUsage, resumedAt }: StreamForm,
): AsyncGenerator<string, void, void> {
  const writer = answer.shape.writer(answer.start);
  let position = resumedAt ?? Array<number>(answer.numChoices).fill(0).join();
  const chunk = (choices: object[], extra: object = {}): string =>
    // With usage asked for, every chunk has the field; it is null in all but the last.
    encode(
      {
        ...head(answer, answer.shape.chunkObject),
        choices,
        ...(includeUsage ? { usage: null } : {}),
        ...extra,
      },
      position,
    );
  if (resumedAt === undefined) {
    for (let index = 0; index < answer.numChoices; index += 1) {
      const extra = index === 0 ? { tidar: writer.start() } : {};
      yield chunk([writer.opening(index)], extra);
    }
  }
  let numOpen = answer.numChoices;
  let last: object[] = [];
  for await (const { event, id } of events) {
    position = id;
    if (event.type === 'step') {
      const tidar = traceOf(event);
      if (sizeOf(event) === 0 && tidar === undefined && event.logprobs === undefined) continue;
      const choice = writer.part(event.choice, event);
      yield chunk([choice], tidar === undefined ? {} : { tidar });
    } else if (event.type === 'finish') {
      numOpen -= 1;
      last = [writer.finish(event.choice, event.finish_reason)];
      if (numOpen > 0) yield chunk(last);
    } else {
      yield chunk(last, { tidar: { num_forward_passes: event.usage.num_forward_passes } });
      if (includeUsage) yield chunk([], { usage: usageOf(event.usage) });
    }
  }
  yield encodeSse({ data: '[DONE]' });
}

function addCall(calls: WholeCall[], { index, id = '', name = '', arguments: more }: ToolCallPiece): void {
  const call = (calls[index] ??= { id, name, arguments: '' });
  call.arguments += more;
}

function completion(answer: TextAnswer, choices: Choice[], steps: StepTrace[], { usage }: EndEvent): object {
  const writer = answer.shape.writer(answer.start);
  return {
    ...head(answer, answer.shape.object),
    choices: choices.map((choice, index) => writer.whole(index, choice)),
    usage: usageOf(usage),
    tidar: {
      ...writer.start(),
      num_forward_passes: usage.num_forward_passes,
      ...(steps.length === 0 ? {} : { steps }),
    },
  };
}

function head({ requestId, created, start, shape }: TextAnswer, object: string): object {
  const id = `${shape.prefix}-${requestId.replace(/^req_/, '')}`;
  return { id, object, created, model: start.model, system_fingerprint: start.fingerprint };
}

function usageOf({ prompt_tokens, completion_tokens, cached_tokens }: Usage): object {
  return {
    prompt_tokens,
    completion_tokens,
    total_tokens: prompt_tokens + completion_tokens,
    prompt_tokens_details: { cached_tokens },
  };
}

export function traceOf({ choice, stats, token_ids, trace }: StepEvent): StepTrace | undefined {
  if (stats === undefined) return undefined;
  return { choice, token_ids, ...stats, ...(trace === undefined ? {} : { trace }) };
}

const encode = (value: object, id: string): string => encodeSse({ id, data: JSON.stringify(value) });
