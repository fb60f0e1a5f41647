import { TidarError } from '@tidar/shared/errors.ts';
import type { Context } from 'hono';
import type { AppEnv } from '../env.ts';

export const MAX_BODY_BYTES = 1024 * 1024;
const JSON_TYPE = /^application\/json *(; *charset *= *"?utf-8"? *)?;? *$/i;

/**
 * A JSON request's text, read no further than the limits, whatever its headers say of its length: neither a large body
 * nor one that comes by drops holds anything for long.
 */
export async function readJsonText(c: Context<AppEnv>, maxBytes = MAX_BODY_BYTES): Promise<string> {
  assertJson(c);
  if (Number(c.req.header('content-length') ?? 0) > maxBytes) throw tooLarge(maxBytes);
  const body = c.req.raw.body as ReadableStream<Uint8Array> | null;
  return body === null ? '' : readText(body, maxBytes, c.get('config').BODY_TIMEOUT_MS);
}

async function readText(
  body: ReadableStream<Uint8Array>,
  maxBytes: number,
  limitMs: number,
): Promise<string> {
  const reader = body.getReader();
  const chunks: Uint8Array[] = [];
  let [numBytes, isLate] = [0, false];
  // What waits for more ends then.
  const timer = setTimeout(() => {
    isLate = true;
    void reader.cancel().catch(() => undefined);
  }, limitMs);
  try {
    for (;;) {
      const { done, value } = await reader.read().catch((cause: unknown) => {
        throw isLate ? tooLate(limitMs) : brokenOff(cause);
      });
      if (isLate) throw tooLate(limitMs);
      if (done) return decode(chunks, numBytes);
      numBytes += value.byteLength;
      if (numBytes > maxBytes) throw tooLarge(maxBytes);
      chunks.push(value);
    }
  } finally {
    clearTimeout(timer);
    // After the end this does nothing.
    void reader.cancel().catch(() => undefined);
  }
}

function assertJson(c: Context<AppEnv>): void {
  if (!JSON_TYPE.test(c.req.header('content-type') ?? '')) {
    const message = "The body must be JSON in UTF-8: send the header 'Content-Type: application/json'.";
    throw new TidarError('unsupported_media_type', message);
  }
  const encoding = c.req.header('content-encoding') ?? 'identity';
  if (encoding.toLowerCase() === 'identity') return;
  const message = "The body must come as it is: send it without compression and without 'Content-Encoding'.";
  throw new TidarError('unsupported_media_type', message);
}

function tooLate(limitMs: number): TidarError {
  const message = `The body did not come within ${limitMs / 1000} s: send it at once, and whole.`;
  return new TidarError('request_timeout', message);
}

/** The connection ended in the middle, or its chunks are none: whoever still listens is told. */
function brokenOff(cause: unknown): TidarError {
  const message = 'The body broke off before its end: send it whole, with its right length.';
  return new TidarError('invalid_request', message, { cause });
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
