const END = '\n\n';
const ID = /^id: (.*)$/m;

/** One event of a stream as it was sent. */
export interface SseBlock {
  text: string;
  id: string | undefined;
}

/** Cuts a text of our own SSE chunks, which may come in any pieces, into its events. */
export class SseBlocks {
  #rest = '';
  /** Of the last event that had one. */
  lastId: string | undefined;

  push(text: string): SseBlock[] {
    const parts = (this.#rest + text).split(END);
    this.#rest = parts.pop() ?? '';
    return parts.map((part) => {
      const [, id] = ID.exec(part) ?? [];
      this.lastId = id ?? this.lastId;
      return { text: part + END, id };
    });
  }
}
