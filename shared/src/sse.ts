import { createParser, type EventSourceMessage } from 'eventsource-parser';
import { TidarError } from './errors.ts';

export interface SseMessage {
  data: string;
  event?: string | undefined;
  id?: string | undefined;
}

const DEFAULT_MAX_EVENT_LENGTH = 16 * 1024 * 1024;

/** One event as text. Data may have several lines; event and id must not. */
export function encodeSse({ data, event, id }: SseMessage): string {
  const fields = [
    ...(event === undefined ? [] : [`event: ${singleLine(event)}`]),
    ...(id === undefined ? [] : [`id: ${singleLine(id)}`]),
    ...data.split(/\r\n|\r|\n/).map((line) => `data: ${line}`),
  ];
  return `${fields.join('\n')}\n\n`;
}

/** A comment: nothing for the reader, but it keeps the connection open. */
export function encodeSseComment(comment: string): string {
  return `: ${singleLine(comment)}\n\n`;
}

function singleLine(text: string): string {
  if (/[\r\n\0]/.test(text)) throw new Error('an SSE event, id or comment must be one line');
  return text;
}

export interface SseOptions {
  /** In characters. */
  maxEventLength?: number;
  /** Bytes that are not UTF-8 are refused. */
  isStrict?: boolean;
}

export interface SseReading extends SseOptions {
  /** Ends the reading as the stream's end would, and cancels the stream. */
  signal?: AbortSignal;
}

/**
 * Parses a stream of bytes however it is cut. Bytes that are not UTF-8 become U+FFFD, as the standard has it, unless
 * they are refused. An event that never ends is refused at its most characters.
 */
export class SseDecoder {
  readonly #decoder;
  readonly #parser;
  #messages: EventSourceMessage[] = [];

  constructor({ maxEventLength = DEFAULT_MAX_EVENT_LENGTH, isStrict = false }: SseOptions = {}) {
    this.#decoder = new TextDecoder('utf-8', { fatal: isStrict, ignoreBOM: true });
    this.#parser = createParser({
      maxBufferSize: maxEventLength,
      onEvent: (message) => void this.#messages.push(message),
      onError: (error) => {
        if (error.type === 'max-buffer-size-exceeded') {
          throw new TidarError(
            'payload_too_large',
            `An SSE event is longer than ${maxEventLength} characters.`,
          );
        }
      },
    });
  }

  /** The events that these bytes complete. */
  push(bytes: Uint8Array): SseMessage[] {
    this.#parser.feed(this.#decode(bytes));
    const messages = this.#messages;
    this.#messages = [];
    return messages;
  }

  #decode(bytes: Uint8Array): string {
    try {
      return this.#decoder.decode(bytes, { stream: true });
    } catch {
      throw new TidarError('invalid_json', 'The SSE stream is not valid UTF-8.');
    }
  }
}

/** The events of a byte stream, read one chunk at a time; leaving the loop early cancels the stream. */
export async function* decodeSse(
  stream: ReadableStream<Uint8Array>,
  { signal, ...options }: SseReading = {},
): AsyncGenerator<SseMessage, void, void> {
  const decoder = new SseDecoder(options);
  const reader = stream.getReader();
  const cancel = (): Promise<void> => reader.cancel().catch(() => undefined);
  const onAbort = (): void => void cancel();
  signal?.addEventListener('abort', onAbort);
  try {
    if (signal?.aborted === true) return;
    for (let chunk = await reader.read(); !chunk.done; chunk = await reader.read())
      yield* decoder.push(chunk.value);
  } finally {
    // After the end this does nothing; after an early return it frees the connection.
    signal?.removeEventListener('abort', onAbort);
    await cancel();
  }
}
