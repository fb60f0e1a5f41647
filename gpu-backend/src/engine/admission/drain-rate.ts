/** The weight of a new measurement in the running mean. */
const WEIGHT = 1 / 8;

/** How long the queue takes to let one item through, measured while items wait. */
export class DrainRate {
  readonly #now: () => number;
  #meanMs: number;
  /** When the last item left, or when the first one came after a time in which none waited. */
  #sinceMs: number | undefined;

  constructor(initialMs: number, now: () => number) {
    this.#meanMs = initialMs;
    this.#now = now;
  }

  /** Never below the time for which nothing has left: a queue that stands still measures nothing else. */
  get millisecondsPerItem(): number {
    const pausedMs = this.#sinceMs === undefined ? 0 : this.#now() - this.#sinceMs;
    return Math.max(this.#meanMs, pausedMs);
  }

  /** Items wait from now on. */
  start(): void {
    this.#sinceMs ??= this.#now();
  }

  /** One item left for a place; `isEmpty` where none waits any more. */
  measure(isEmpty: boolean): void {
    const nowMs = this.#now();
    this.#meanMs += WEIGHT * (nowMs - (this.#sinceMs ?? nowMs) - this.#meanMs);
    this.#sinceMs = isEmpty ? undefined : nowMs;
  }

  /** Nobody waits: the time that passes tells nothing. */
  stop(): void {
    this.#sinceMs = undefined;
  }
}
