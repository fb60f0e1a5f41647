/** Those who wait for news of a request, in this instance's memory: who waits too long asks again. */
export class Waiters {
  readonly #byRequest = new Map<string, Set<() => void>>();

  /** Resolves at the next `wake` of the request, or after the limit. */
  wait(requestId: string, limitMs: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const waiting = this.#byRequest.get(requestId) ?? new Set();
    const timer = setTimeout(() => done(), limitMs);
    const done = (): void => {
      clearTimeout(timer);
      waiting.delete(done);
      if (waiting.size === 0) this.#byRequest.delete(requestId);
      resolve();
    };
    this.#byRequest.set(requestId, waiting.add(done));
    return promise;
  }

  wake(requestId: string): void {
    for (const done of [...(this.#byRequest.get(requestId) ?? [])]) done();
  }

  wakeAll(): void {
    for (const requestId of [...this.#byRequest.keys()]) this.wake(requestId);
  }
}
