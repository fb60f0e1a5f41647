import type { TidarError } from '@tidar/shared/errors.ts';
import type {
  FinishReason,
  GenerateRequest,
  TokenLogprob,
  TokenScore,
  Usage,
} from '@tidar/shared/protocol.ts';
import type { AnswerHead } from './answer-format.ts';
import { startOf } from './answer-shape.ts';
import type { ResponseTerms } from './answer-terms.ts';

export type ResponseStatus = 'in_progress' | 'completed' | 'incomplete' | 'failed' | 'cancelled';

/** What there is of a response so far. */
export interface ResponseText {
  text: string;
  /** Undefined where none are asked for. */
  logprobs: readonly TokenLogprob[] | undefined;
  /** One for each forward pass, where a trace is asked for. */
  steps: readonly object[];
  finishReason: FinishReason | undefined;
  usage: Usage | undefined;
}

export const EMPTY_TEXT: ResponseText = {
  text: '',
  logprobs: undefined,
  steps: [],
  finishReason: undefined,
  usage: undefined,
};

/** Writes one response and its parts as OpenAI's Responses API has them. */
export class ResponseWriter {
  readonly #head: AnswerHead;
  readonly #terms: ResponseTerms;
  readonly itemId: string;
  readonly id: string;

  constructor(head: AnswerHead, terms: ResponseTerms) {
    this.#head = head;
    this.#terms = terms;
    const bare = head.requestId.replace(/^req_/, '');
    this.id = `resp_${bare}`;
    this.itemId = `msg_${bare}`;
  }

  /** A response whose text has not ended has no output yet, as its clients expect. */
  response(status: ResponseStatus, told: ResponseText, error?: TidarError): object {
    const { created, start } = this.#head;
    const isOver = status !== 'in_progress';
    return {
      id: this.id,
      object: 'response',
      created_at: created,
      status,
      error: error === undefined ? null : errorOf(error),
      incomplete_details: status === 'incomplete' ? { reason: 'max_output_tokens' } : null,
      model: start.model,
      output: isOver && (told.text !== '' || status === 'completed') ? [this.item(status, told)] : [],
      ...echoOf(this.#terms, this.#head.request),
      usage: told.usage === undefined ? null : usageOf(told.usage),
      tidar: {
        ...startOf(start),
        fingerprint: start.fingerprint,
        ...(told.usage === undefined ? {} : { num_forward_passes: told.usage.num_forward_passes }),
        ...(told.steps.length === 0 || !isOver ? {} : { steps: told.steps }),
        ...(error === undefined ? {} : { error: error.code }),
      },
    };
  }

  item(status: ResponseStatus, told: ResponseText): object {
    const content = status === 'in_progress' ? [] : [partOf(told)];
    const itemStatus = status === 'in_progress' || status === 'completed' ? status : 'incomplete';
    return { id: this.itemId, type: 'message', status: itemStatus, role: 'assistant', content };
  }
}

export function statusOf({ finishReason }: ResponseText): 'completed' | 'incomplete' {
  return finishReason === 'length' ? 'incomplete' : 'completed';
}

export function partOf({ text, logprobs }: Pick<ResponseText, 'text' | 'logprobs'>): object {
  return {
    type: 'output_text',
    annotations: [],
    ...(logprobs === undefined ? {} : { logprobs: logprobs.map(contentOf) }),
    text,
  };
}

/** A special token stands for no bytes: here the list is empty where chat completions have null. */
export function contentOf(logprob: TokenLogprob): object {
  return { ...scoreOf(logprob), top_logprobs: logprob.top.map(scoreOf) };
}

function scoreOf({ token, logprob, bytes }: TokenScore): object {
  return { token, bytes: bytes ?? [], logprob };
}

function usageOf({ prompt_tokens, completion_tokens, cached_tokens }: Usage): object {
  return {
    input_tokens: prompt_tokens,
    input_tokens_details: { cached_tokens, cache_write_tokens: 0 },
    output_tokens: completion_tokens,
    output_tokens_details: { reasoning_tokens: 0 },
    total_tokens: prompt_tokens + completion_tokens,
  };
}

/** OpenAI's codes are few; ours stands in the `tidar` object. */
function errorOf({ code, message }: TidarError): object {
  return { code: code === 'rate_limit_exceeded' ? code : 'server_error', message };
}

/** What was asked for, as a response tells it back. */
function echoOf(terms: ResponseTerms, request: GenerateRequest | undefined): object {
  return {
    background: false,
    instructions: instructionsOf(terms, request),
    max_output_tokens: request?.max_tokens ?? null,
    max_tool_calls: null,
    metadata: terms.metadata,
    parallel_tool_calls: terms.parallelToolCalls,
    previous_response_id: terms.previousResponseId,
    prompt_cache_key: terms.promptCacheKey,
    reasoning: { effort: null, summary: null },
    safety_identifier: terms.safetyIdentifier,
    service_tier: 'default',
    store: request?.store ?? true,
    temperature: request?.sampling.temperature ?? null,
    text: { format: formatOf(terms, request), verbosity: 'medium' },
    tool_choice: terms.toolChoice,
    tools: [],
    top_logprobs: request?.logprobs ?? 0,
    top_p: request?.sampling.top_p ?? null,
    truncation: 'disabled',
    user: terms.user,
  };
}

function instructionsOf(
  { hasInstructions }: ResponseTerms,
  request: GenerateRequest | undefined,
): string | null {
  if (!hasInstructions || request?.input.type !== 'chat') return null;
  return request.input.messages[0]?.content ?? null;
}

function formatOf({ format }: ResponseTerms, request: GenerateRequest | undefined): object {
  const grammar = request?.grammar;
  if (grammar?.type === 'json_object') return { type: 'json_object' };
  if (grammar?.type !== 'json_schema' || format === null) return { type: 'text' };
  return { type: 'json_schema', ...format, description: null, schema: grammar.schema };
}
