import type { EndEvent, FinishEvent, StartEvent, StepEvent } from '@tidar/shared/protocol.ts';

/**
 * Holds a backend to the order of events: steps of choices that are there and not finished, one finish for each, the
 * end after the last of them.
 */
export class EventOrder {
  readonly #open: Set<number>;

  constructor(numChoices: number) {
    this.#open = new Set(Array.from({ length: numChoices }, (_, choice) => choice));
  }

  /** What is wrong with the next event; undefined if nothing is. */
  problemWith(event: StepEvent | FinishEvent | EndEvent): string | undefined {
    if (event.type === 'end') {
      return this.#open.size === 0 ? undefined : `end while choices ${[...this.#open].join()} are open`;
    }
    if (!this.#open.has(event.choice)) return `${event.type} of choice ${event.choice}, which is not open`;
    if (event.type === 'finish') this.#open.delete(event.choice);
    else if (isEmpty(event)) return 'a step of nothing';
    else if (event.logprobs !== undefined && event.logprobs.length !== event.token_ids.length)
      return `${event.logprobs.length} log-probabilities of ${event.token_ids.length} tokens`;
    return undefined;
  }
}

/** Any number of them would come to no end. */
function isEmpty({ token_ids: tokenIds, text, reasoning = '', tool_calls: calls = [] }: StepEvent): boolean {
  return tokenIds.length + text.length + reasoning.length + calls.length === 0;
}

/** What is wrong with a start; undefined if nothing is. */
export function problemWithStart(start: StartEvent, { requestId, fingerprint }: StartOf): string | undefined {
  const { prompt_token_ids: ids, num_prompt_tokens: numPrompt, num_cached_tokens: numCached } = start;
  if (start.request_id !== requestId) return `the start of request ${start.request_id}`;
  if (start.fingerprint !== fingerprint) return `the start of fingerprint ${start.fingerprint}`;
  if (numPrompt !== ids.length) return `${numPrompt} prompt tokens, ${ids.length} ids`;
  return numCached > numPrompt ? `${numCached} cached tokens of ${numPrompt}` : undefined;
}

/** Which request, at which model, a start must be of. */
export interface StartOf {
  requestId: string;
  fingerprint: string;
}
