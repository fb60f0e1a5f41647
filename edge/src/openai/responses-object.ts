import type { TidarError } from '@tidar/shared/errors.ts';
import type { ChatInput, Tool } from '@tidar/shared/chat.ts';
import type { GenerateRequest, TokenLogprob, TokenScore, Usage } from '@tidar/shared/protocol.ts';
import type { AnswerHead } from './answer-format.ts';
import { startOf } from './answer-shape.ts';
import type { ResponseTerms } from './answer-terms.ts';
import type { GrowingOutput, OutputItem } from './responses-output.ts';

export type ResponseStatus = 'in_progress' | 'completed' | 'incomplete' | 'failed' | 'cancelled';

const ID_PREFIXES = { message: 'msg', reasoning: 'rs', call: 'fc' } as const;

/** Writes one response and its items as OpenAI's Responses API has them. */
export class ResponseWriter {
  readonly #head: AnswerHead;
  readonly #terms: ResponseTerms;
  readonly #bareId: string;

  constructor(head: AnswerHead, terms: ResponseTerms) {
    this.#head = head;
    this.#terms = terms;
    this.#bareId = head.requestId.replace(/^req_/, '');
  }

  /** A response that has not ended shows no output yet, as its clients expect. */
  response(status: ResponseStatus, output: GrowingOutput, error?: TidarError): object {
    const { created, start } = this.#head;
    const { items, steps, usage } = output;
    const isOver = status !== 'in_progress';
    const last = items.length - 1;
    return {
      id: `resp_${this.#bareId}`,
      object: 'response',
      created_at: created,
      status,
      error: error === undefined ? null : errorOf(error),
      incomplete_details: status === 'incomplete' ? { reason: 'max_output_tokens' } : null,
      model: start.model,
      output: isOver
        ? items.map((item, index) => this.item(item, index === last ? itemStatus(status) : 'completed'))
        : [],
      ...echoOf(this.#terms, this.#head.request),
      usage: usage === undefined ? null : usageOf(usage),
      tidar: {
        ...startOf(start),
        fingerprint: start.fingerprint,
        ...(usage === undefined ? {} : { num_forward_passes: usage.num_forward_passes }),
        ...(steps.length === 0 || !isOver ? {} : { steps }),
        ...(error === undefined ? {} : { error: error.code }),
      },
    };
  }

  idOf({ kind, index }: OutputItem): string {
    const id = `${ID_PREFIXES[kind]}_${this.#bareId}`;
    return kind === 'call' || index > 0 ? `${id}_${index}` : id;
  }

  /** In progress it is still empty. */
  item(item: OutputItem, status: 'in_progress' | 'completed' | 'incomplete'): object {
    const { kind, text, callId, name } = item;
    const id = this.idOf(item);
    const isBegun = status === 'in_progress';
    const content = isBegun ? [] : [partOf(item)];
    if (kind === 'message') return { id, type: 'message', status, role: 'assistant', content };
    if (kind === 'reasoning') return { id, type: 'reasoning', status, summary: [], content };
    const written = isBegun ? '' : text;
    return { id, type: 'function_call', status, call_id: callId, name, arguments: written };
  }
}

function itemStatus(status: ResponseStatus): 'completed' | 'incomplete' {
  return status === 'completed' ? status : 'incomplete';
}

export function partOf({ kind, text, scores }: Pick<OutputItem, 'kind' | 'text' | 'scores'>): object {
  if (kind === 'reasoning') return { type: 'reasoning_text', text };
  const logprobs = scores === undefined ? {} : { logprobs: scores.within(text.length).map(contentOf) };
  return { type: 'output_text', annotations: [], ...logprobs, text };
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
  const chat = request?.input.type === 'chat' ? request.input : undefined;
  return {
    background: false,
    instructions: terms.hasInstructions ? (chat?.messages[0]?.content ?? null) : null,
    max_output_tokens: request?.max_tokens ?? null,
    max_tool_calls: null,
    metadata: terms.metadata,
    parallel_tool_calls: chat?.parallel_tool_calls ?? true,
    previous_response_id: terms.previousResponseId,
    prompt_cache_key: terms.promptCacheKey,
    reasoning: { effort: null, summary: null },
    safety_identifier: terms.safetyIdentifier,
    service_tier: 'default',
    store: request?.store ?? true,
    temperature: request?.sampling.temperature ?? null,
    text: { format: formatOf(terms, request), verbosity: 'medium' },
    tool_choice: choiceOf(chat?.tool_choice),
    tools: (chat?.tools ?? []).map(toolOf),
    top_logprobs: request?.logprobs ?? 0,
    top_p: request?.sampling.top_p ?? null,
    truncation: 'disabled',
    user: terms.user,
  };
}

function choiceOf(choice: ChatInput['tool_choice'] = 'auto'): string | object {
  return typeof choice === 'string' ? choice : { type: 'function', name: choice.name };
}

function toolOf({ name, description, parameters, strict }: Tool): object {
  return {
    type: 'function',
    name,
    description: description ?? null,
    parameters: parameters ?? null,
    strict,
  };
}

function formatOf({ format }: ResponseTerms, request: GenerateRequest | undefined): object {
  const grammar = request?.grammar;
  if (grammar?.type === 'json_object') return { type: 'json_object' };
  if (grammar?.type !== 'json_schema' || format === null) return { type: 'text' };
  return { type: 'json_schema', ...format, description: null, schema: grammar.schema };
}
