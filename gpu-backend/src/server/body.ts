import { TidarError } from '@tidar/shared/errors.ts';

/** Of all its routes: a prompt of token ids, and what it is resumed with. */
export const MAX_BODY_BYTES = 8 << 20;

/** A request's body, read no further than the limit, whatever its head says of its length. */
export async function readBody(request: Request): Promise<Uint8Array<ArrayBuffer>> {
  if (Number(request.headers.get('content-length') ?? 0) > MAX_BODY_BYTES) throw tooLarge();
  const chunks: Uint8Array[] = [];
  let numBytes = 0;
  try {
    for await (const chunk of (request.body ?? []) as AsyncIterable<Uint8Array>) {
      numBytes += chunk.byteLength;
      if (numBytes > MAX_BODY_BYTES) throw tooLarge();
      chunks.push(chunk);
    }
  } catch (error) {
    if (error instanceof TidarError) throw error;
    const message = 'The body broke off before its end: send it whole, with its right length.';
    throw new TidarError('invalid_request', message, { cause: error });
  }
  return new Uint8Array(Buffer.concat(chunks));
}

export function decodeUtf8(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new TidarError('invalid_json', 'The body is not valid UTF-8.');
  }
}

function tooLarge(): TidarError {
  return new TidarError('payload_too_large', `The body is larger than ${MAX_BODY_BYTES} bytes.`);
}
