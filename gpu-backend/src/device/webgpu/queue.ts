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
    const settled = done.then(
      () => undefined,
      () => undefined,
    );
    this.#follow(before.then(() => settled));
    return done;
  }

  /** Work that others will rely on. */
  push(work: () => Promise<void>): void {
    this.#follow(this.#tail.then(work));
  }

  /** What failed is told by whatever comes next, and is no failure that nobody handles. */
  #follow(tail: Promise<void>): void {
    this.#tail = tail;
    tail.catch(() => undefined);
  }
}
