import { encodeSseComment } from '@tidar/shared/sse.ts';

export interface EventStreamOptions {
  /** A comment goes out after so long without an event, so that nobody on the way closes the connection. */
  readonly keepAliveMs: number;
  /** A reader that takes nothing for so long is given up: it would hold its slot for ever. */
  readonly stallMs: number;
  /** The reader left or was given up: must make the events end, which are then read to their end for nobody. */
  readonly onGone: () => void;
}

/**
 * The body of an SSE answer. Events are pulled one at a time as the reader takes them, so that a slow reader's
 * back-pressure reaches the engine.
 */
export function eventStream(
  events: AsyncIterator<string, void>,
  { keepAliveMs, stallMs, onGone }: EventStreamOptions,
): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  let pending: Promise<IteratorResult<string, void>> | undefined;
  let stallTimer: NodeJS.Timeout | undefined;
  const abandon = async (): Promise<void> => {
    onGone();
    while ((await (pending ?? events.next())).done !== true) pending = undefined;
  };
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      clearTimeout(stallTimer);
      pending ??= events.next();
      const result = await withTimeout(pending, keepAliveMs);
      if (result !== undefined) pending = undefined;
      if (result?.done === true) return controller.close();
      controller.enqueue(encoder.encode(result?.value ?? encodeSseComment('keep-alive')));
      stallTimer = setTimeout(() => {
        void abandon();
        controller.error(new Error(`the reader took nothing for ${stallMs} ms`));
      }, stallMs);
    },
    cancel() {
      clearTimeout(stallTimer);
      void abandon();
    },
  });
}

/** The promise's value, or undefined where it takes longer; the promise goes on. */
async function withTimeout<Value>(promise: Promise<Value>, timeoutMs: number): Promise<Value | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<undefined>((resolve) => (timer = setTimeout(resolve, timeoutMs, undefined)));
  try {
    return await Promise.race([promise, timeout]);
  } finally {
    clearTimeout(timer);
  }
}
