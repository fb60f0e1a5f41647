/** What is known of a text of `store: false` that may be deleted once nobody reads it. */
interface Entry {
  numReaders: number;
  /** It has ended: nothing more is written of it. */
  isClosed: boolean;
  timer: NodeJS.Timeout | undefined;
}

/**
 * When texts of `store: false` are deleted: once one reader has all of it, or where none has, when the last one left so
 * long ago that he does not come back.
 */
export class Forgetting {
  readonly #forget: (id: number) => void;
  readonly #graceMs: number;
  readonly #entries = new Map<number, Entry>();

  constructor(forget: (id: number) => void, graceMs: number) {
    this.#forget = forget;
    this.#graceMs = graceMs;
  }

  /** A text that is not to be stored has begun. */
  add(id: number): void {
    this.#entries.set(id, { numReaders: 0, isClosed: false, timer: undefined });
  }

  onReader(id: number): void {
    const entry = this.#entries.get(id);
    if (entry === undefined) return;
    clearTimeout(entry.timer);
    entry.numReaders += 1;
  }

  onReaderGone(id: number, hasAll: boolean): void {
    const entry = this.#entries.get(id);
    if (entry === undefined) return;
    entry.numReaders -= 1;
    if (hasAll && entry.numReaders === 0) this.#finish(id);
    else this.#wait(id, entry);
  }

  onClosed(id: number): void {
    const entry = this.#entries.get(id);
    if (entry === undefined) return;
    entry.isClosed = true;
    this.#wait(id, entry);
  }

  /** Nobody can come back any more. */
  finishAll(): void {
    for (const [id, { isClosed }] of this.#entries) if (isClosed) this.#finish(id);
  }

  #wait(id: number, entry: Entry): void {
    if (!entry.isClosed || entry.numReaders > 0) return;
    clearTimeout(entry.timer);
    entry.timer = setTimeout(() => this.#finish(id), this.#graceMs);
  }

  #finish(id: number): void {
    clearTimeout(this.#entries.get(id)?.timer);
    this.#entries.delete(id);
    this.#forget(id);
  }
}
