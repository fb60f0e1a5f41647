import { toTidarError } from '@tidar/shared/errors.ts';
import type { LedgerStub } from '../ledger/client.ts';
import { logError, logWith } from '../log.ts';
import type { AnswerFormat } from '../openai/answer-format.ts';

/** What comes in between is written together: each write waits for a disk. */
const WRITE_EVERY_MS = 100;

/**
 * Keeps an answer in the ledger as it is sent, for whoever asks with the same Idempotency-Key. The stream waits for it
 * at its end alone. An answer that cannot be kept is still an answer: whoever comes later takes it over where it was
 * kept to.
 */
export class AnswerKeeper {
  readonly #ledger: LedgerStub;
  readonly #requestId: string;
  readonly #reader: number;
  readonly #contentType: string;
  #pending = '';
  #writing: Promise<void> | undefined;
  #hasFailed = false;

  constructor(ledger: LedgerStub, requestId: string, reader: number, contentType: string) {
    this.#ledger = ledger;
    this.#requestId = requestId;
    this.#reader = reader;
    this.#contentType = contentType;
  }

  /** The next piece; those that come while another is written are written together. */
  add(text: string): void {
    if (this.#hasFailed) return;
    this.#pending += text;
    this.#writing ??= this.#write().finally(() => (this.#writing = undefined));
  }

  /** The last piece: the answer is kept as a whole when this resolves. */
  async finish(text: string): Promise<void> {
    await this.#writing;
    this.#pending += text;
    await this.#write(true);
  }

  async #write(isWhole = false): Promise<void> {
    while (!this.#hasFailed && (this.#pending !== '' || isWhole)) {
      const text = this.#pending;
      this.#pending = '';
      try {
        const part = { contentType: this.#contentType, text, isWhole };
        await this.#ledger.keepAnswer(this.#requestId, this.#reader, part);
      } catch (error) {
        this.#hasFailed = true;
        logError(toTidarError(error), logWith({ request_id: this.#requestId }));
      }
      if (isWhole) return;
      await new Promise((resolve) => setTimeout(resolve, WRITE_EVERY_MS));
    }
  }
}

/** Passes a stream on and keeps it, all of it before its last piece is sent. */
export async function* keptStream(
  chunks: AsyncGenerator<string, void, void>,
  keeper: AnswerKeeper,
  format: AnswerFormat,
): AsyncGenerator<string, void, void> {
  for await (const chunk of chunks) {
    if (format.isLast(chunk)) await keeper.finish(chunk);
    else keeper.add(chunk);
    yield chunk;
  }
}
