/**
 * Text chunks as a response body. Nothing is read ahead of the client: each chunk is made when the one before has
 * been taken. `onCancel` is called when the client leaves.
 */
export function streamOf(
  chunks: AsyncGenerator<string, void, void>,
  onCancel: () => Promise<void>,
): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const next = await chunks.next();
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
