import { Unreachable } from './failures.ts';

/** The text of a backend's answer that is no stream; one without an end is not kept, and not waited for. */
export async function textOf(response: Response, maxBytes: number): Promise<string> {
  const reader = (response.body as ReadableStream<Uint8Array> | null)?.getReader();
  if (reader === undefined) return '';
  const decoder = new TextDecoder();
  let [text, numBytes] = ['', 0];
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return text + decoder.decode();
      numBytes += value.byteLength;
      if (numBytes > maxBytes) throw new Unreachable(`an answer of more than ${maxBytes} bytes`);
      text += decoder.decode(value, { stream: true });
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}

export async function jsonOf(response: Response, maxBytes: number): Promise<unknown> {
  return JSON.parse(await textOf(response, maxBytes)) as unknown;
}
