/** How long after its last word a connection that relays counts as gone. */
const GRACE_MS = 5_000;
const MOST_KEPT = 1_000;

/**
 * Which connections that relay an answer are known to be there, in this instance's memory: after a restart each has
 * its grace to say so again.
 */
export class Presence {
  readonly #untilMs = new Map<string, number>();
  readonly #startedAtMs: number;

  constructor(nowMs: number) {
    this.#startedAtMs = nowMs;
  }

  /** It was heard of now, and is going to be for so long. */
  seen(requestId: string, nowMs: number, forMs = 0): void {
    if (this.#untilMs.size >= MOST_KEPT) this.#forget(nowMs);
    const untilMs = nowMs + forMs + GRACE_MS;
    this.#untilMs.set(requestId, Math.max(this.#untilMs.get(requestId) ?? 0, untilMs));
  }

  gone(requestId: string): void {
    this.#untilMs.set(requestId, 0);
  }

  isVacant(requestId: string, nowMs: number): boolean {
    return (this.#untilMs.get(requestId) ?? this.#startedAtMs + GRACE_MS) < nowMs;
  }

  #forget(nowMs: number): void {
    for (const [requestId, untilMs] of this.#untilMs) if (untilMs < nowMs) this.#untilMs.delete(requestId);
  }
}
