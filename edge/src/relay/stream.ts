import { encodeSseComment } from '@tidar/shared/sse.ts';

export interface StreamOptions {
  /** How long the stream may be silent before a comment keeps it open. */
  keepAliveMs: number;
  /** Called when the client has left. */
  onCancel: () => Promise<void>;
}

/**
 * SSE text chunks as a response body. Nothing is read ahead of the client: each chunk is made when the one before
 * has been taken. The comments in a silence also find out whether anybody still listens: only a write does.
 */
export function streamOf(
  chunks: AsyncGenerator<string, void, void>,
  { keepAliveMs, onCancel }: StreamOptions,
): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  const comment = encodeSseComment('keep-alive');
  let pending: Promise<IteratorResult<string, void>> | undefined;
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        pending ??= chunks.next();
        const next = await orSilence(pending, keepAliveMs);
        if (next === undefined) return controller.enqueue(encoder.encode(comment));
        pending = undefined;
        if (next.done) controller.close();
        else controller.enqueue(encoder.encode(next.value));
      },
      async cancel() {
        await onCancel();
        await chunks.return();
      },
    },
    { highWaterMark: 0 },
  );
}

/** The value, or undefined when it has not come in time; it is not lost then. */
async function orSilence<Value>(value: Promise<Value>, limitMs: number): Promise<Value | undefined> {
  const { promise: silence, resolve } = Promise.withResolvers<undefined>();
  const timer = setTimeout(resolve, limitMs, undefined);
  try {
    return await Promise.race([value, silence]);
  } finally {
    clearTimeout(timer);
  }
}
