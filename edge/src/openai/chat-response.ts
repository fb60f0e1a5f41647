import type {
  EndEvent,
  FinishReason,
  StartEvent,
  StepEvent,
  StepStats,
  Usage,
} from '@tidar/shared/protocol.ts';
import { encodeSse } from '@tidar/shared/sse.ts';

type Events = AsyncGenerator<StepEvent | EndEvent, void, void>;

export interface ChatAnswer {
  requestId: string;
  /** Unix time in seconds. */
  created: number;
  start: StartEvent;
}

/** One forward pass, as `tidar.trace: 'stats'` shows it. */
type StepTrace = StepStats & { token_ids: number[] };

interface Delta {
  role?: 'assistant';
  content?: string;
}

/** The whole answer at once. */
export async function chatCompletion(answer: ChatAnswer, events: Events): Promise<object> {
  let content = '';
  const steps: StepTrace[] = [];
  for await (const event of events) {
    if (event.type === 'end') return completion(answer, content, steps, event);
    content += event.text;
    const trace = traceOf(event);
    if (trace !== undefined) steps.push(trace);
  }
  throw new Error('a generation ends with an end event or an exception');
}

/** The answer as OpenAI streams it: the role first, text, the finish reason, the usage if asked for, `[DONE]`. */
export async function* chatChunks(
  answer: ChatAnswer,
  events: Events,
  includeUsage: boolean,
): AsyncGenerator<string, void, void> {
  const chunk = (choices: object[], extra: object = {}): string =>
    // With usage asked for, every chunk has the field; it is null in all but the last.
    encode({
      ...head(answer, 'chat.completion.chunk'),
      choices,
      ...(includeUsage ? { usage: null } : {}),
      ...extra,
    });
  yield chunk([choiceOf({ role: 'assistant', content: '' })], { tidar: { seed: answer.start.seed } });
  for await (const event of events) {
    if (event.type === 'step') {
      const tidar = traceOf(event);
      if (event.text === '' && tidar === undefined) continue;
      yield chunk([choiceOf({ content: event.text })], tidar === undefined ? {} : { tidar });
      continue;
    }
    const tidar = { num_forward_passes: event.usage.num_forward_passes };
    yield chunk([choiceOf({}, event.finish_reason)], { tidar });
    if (includeUsage) yield chunk([], { usage: usageOf(event.usage) });
  }
  yield encodeSse({ data: '[DONE]' });
}

function completion(answer: ChatAnswer, content: string, steps: StepTrace[], end: EndEvent): object {
  const message = { role: 'assistant', content, refusal: null };
  return {
    ...head(answer, 'chat.completion'),
    choices: [{ index: 0, message, logprobs: null, finish_reason: end.finish_reason }],
    usage: usageOf(end.usage),
    tidar: {
      seed: answer.start.seed,
      num_forward_passes: end.usage.num_forward_passes,
      ...(steps.length === 0 ? {} : { steps }),
    },
  };
}

function head({ requestId, created, start }: ChatAnswer, object: string): object {
  const id = `chatcmpl-${requestId.replace(/^req_/, '')}`;
  return { id, object, created, model: start.model, system_fingerprint: start.fingerprint };
}

function choiceOf(delta: Delta, finishReason: FinishReason | null = null): object {
  return { index: 0, delta, logprobs: null, finish_reason: finishReason };
}

function usageOf({ prompt_tokens, completion_tokens, cached_tokens }: Usage): object {
  return {
    prompt_tokens,
    completion_tokens,
    total_tokens: prompt_tokens + completion_tokens,
    prompt_tokens_details: { cached_tokens },
  };
}

function traceOf({ stats, token_ids }: StepEvent): StepTrace | undefined {
  return stats === undefined ? undefined : { token_ids, ...stats };
}

const encode = (value: object): string => encodeSse({ data: JSON.stringify(value) });
