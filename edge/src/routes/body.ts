import { TidarError } from '@tidar/shared/errors.ts';

export const MAX_BODY_BYTES = 1024 * 1024;
const JSON_TYPE = /^application\/json\s*(;|$)/i;

/** A JSON request's text, read no further than the limit, whatever its headers say of its length. */
export async function readJsonText(request: Request, maxBytes = MAX_BODY_BYTES): Promise<string> {
  if (!JSON_TYPE.test(request.headers.get('content-type') ?? '')) {
    const message = "The body must be JSON: send the header 'Content-Type: application/json'.";
    throw new TidarError('unsupported_media_type', message);
  }
  if (Number(request.headers.get('content-length') ?? 0) > maxBytes) throw tooLarge(maxBytes);
  const chunks: Uint8Array[] = [];
  let numBytes = 0;
  const body: AsyncIterable<Uint8Array> | null = request.body;
  for await (const chunk of body ?? []) {
    numBytes += chunk.byteLength;
    if (numBytes > maxBytes) throw tooLarge(maxBytes);
    chunks.push(chunk);
  }
  return decode(chunks, numBytes);
}

function decode(chunks: readonly Uint8Array[], numBytes: number): string {
  const bytes = new Uint8Array(numBytes);
  let offset = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, offset);
    offset += chunk.byteLength;
  }
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: false }).decode(bytes);
  } catch {
    throw new TidarError('invalid_json', 'The body is not valid UTF-8.');
  }
}

function tooLarge(maxBytes: number): TidarError {
  return new TidarError('payload_too_large', `The body is larger than ${maxBytes} bytes.`);
}
