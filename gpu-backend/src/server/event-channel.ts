import type { TidarError } from '@tidar/shared/errors.ts';

/**
 * What one reader has not taken yet. It is bounded by credits: the engine decides no step without one, so that a full
 * buffer is a bug and throws.
 */
export class EventChannel<Event> {
  readonly #limit: number;
  #events: Event[] = [];
  #failure: TidarError | undefined;
  #wake: () => void = () => undefined;

  constructor(limit: number) {
    this.#limit = limit;
  }

  get size(): number {
    return this.#events.length;
  }

  push(event: Event): void {
    if (this.#failure !== undefined) return;
    if (this.#events.length >= this.#limit)
      throw new RangeError(`more than ${this.#limit} events without a reader`);
    this.#events.push(event);
    this.#wake();
  }

  /** Ends it at once; gives the events that nobody took. The first error counts. */
  end(error: TidarError): Event[] {
    this.#failure ??= error;
    const left = this.#events;
    this.#events = [];
    this.#wake();
    return left;
  }

  /** The next event; one call at a time. Throws the error that ended it. */
  async next(): Promise<Event> {
    for (;;) {
      const event = this.#events.shift();
      if (event !== undefined) return event;
      if (this.#failure !== undefined) throw this.#failure;
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }
}
