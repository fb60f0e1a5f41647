import type { TidarError } from '@tidar/shared/errors.ts';

/**
 * A request's events between the engine's messages and its one reader. It is bounded by credits: the engine sends no
 * step without one, so that a full buffer is a bug and throws.
 */
export class EventChannel<Event> {
  readonly #limit: number;
  readonly #events: Event[] = [];
  #failure: TidarError | undefined;
  #wake: () => void = () => undefined;

  constructor(limit: number) {
    this.#limit = limit;
  }

  push(event: Event): void {
    if (this.#failure !== undefined) return;
    if (this.#events.length >= this.#limit)
      throw new RangeError(`more than ${this.#limit} events without a reader`);
    this.#events.push(event);
    this.#wake();
  }

  /** Ends the events: the reader gets those that still wait, then this error. The first one counts. */
  fail(error: TidarError): void {
    this.#failure ??= error;
    this.#wake();
  }

  /** The next event; one call at a time. */
  async next(): Promise<Event> {
    for (;;) {
      const event = this.#events.shift();
      if (event !== undefined) return event;
      if (this.#failure !== undefined) throw this.#failure;
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }
}
