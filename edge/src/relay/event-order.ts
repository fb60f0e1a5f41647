import type { EndEvent, FinishEvent, StepEvent } from '@tidar/shared/protocol.ts';

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
    else if (event.logprobs !== undefined && event.logprobs.length !== event.token_ids.length)
      return `${event.logprobs.length} log-probabilities of ${event.token_ids.length} tokens`;
    return undefined;
  }
}
