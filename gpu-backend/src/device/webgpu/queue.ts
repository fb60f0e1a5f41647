/**
 * Work for a GPU, one piece after the other: onnxruntime-node's runs are promises, and a cache's copies are not waited
 * for. Where one of those failed, all that comes after it fails: nothing that it should have left is right then.
 */
export class WorkQueue {
  #tail: Promise<void> = Promise.resolve();

  /** Work that is waited for; what it throws is told to its caller alone. */
  run<T>(work: () => Promise<T>): Promise<T> {
    const before = this.#tail;
    const done = before.then(work);
    this.#tail = before.then(() =>
      done.then(
        () => undefined,
        () => undefined,
      ),
    );
    return done;
  }

  /** Work that others will rely on. */
  push(work: () => Promise<void>): void {
    this.#tail = this.#tail.then(work);
    // Told by whatever comes next.
    this.#tail.catch(() => undefined);
  }
}
