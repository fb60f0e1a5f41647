import type { TidarError } from '@tidar/shared/errors.ts';

/**
 * What one reader has not taken yet. It is bounded by credits: the engine decides no step without one, so that a full
 * buffer is a bug and throws.
 */
export class EventChannel<Event> {
  readonly #limit: number;
  #events: Event[] = [];
  #failure: TidarError | undefined;
  #isBehind = false;
  #wake: () => void = () => undefined;

  constructor(limit: number) {
    this.#limit = limit;
  }

  get size(): number {
    return this.#events.length;
  }

  /** Its reader gets nothing more by it, and will look elsewhere for what he has missed. */
  get isBehind(): boolean {
    return this.#isBehind;
  }

  push(event: Event): void {
    if (this.#failure !== undefined || this.#isBehind) return;
    if (this.#events.length >= this.#limit)
      throw new RangeError(`more than ${this.#limit} events without a reader`);
    this.#events.push(event);
    this.#wake();
  }

  /** Drops what the reader has not taken, and all that comes; gives what it had. */
  fallBehind(): Event[] {
    this.#isBehind = true;
    return this.#clear();
  }

  /** Ends it at once; gives the events that nobody took. The first error counts. */
  end(error: TidarError): Event[] {
    this.#failure ??= error;
    return this.#clear();
  }

  /** The next event, undefined where the reader is behind; one call at a time. Throws the error that ended it. */
  async next(): Promise<Event | undefined> {
    for (;;) {
      const event = this.#events.shift();
      if (event !== undefined) return event;
      if (this.#failure !== undefined) throw this.#failure;
      if (this.#isBehind) return undefined;
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  #clear(): Event[] {
    const left = this.#events;
    this.#events = [];
    this.#wake();
    return left;
  }
}
