import { TidarError } from '@tidar/shared/errors.ts';
import { sha256Hex, utf8 } from '@tidar/shared/lease.ts';
import type { Context } from 'hono';
import type { AppEnv } from '../env.ts';
import type { Idempotency } from '../ledger/types.ts';

const FORM = /^[\x21-\x7e][\x20-\x7e]{0,254}$/;

/** The request's Idempotency-Key with what it was sent with; undefined if it has none. */
export async function idempotencyOf(c: Context<AppEnv>, body: string): Promise<Idempotency | undefined> {
  const key = c.req.header('idempotency-key');
  if (key === undefined) return undefined;
  if (!FORM.test(key)) {
    const message = 'The Idempotency-Key header must be 1 to 255 printable ASCII characters.';
    throw new TidarError('invalid_request', message);
  }
  const [keyHash, requestHash] = await Promise.all([
    sha256Hex(utf8(key)),
    sha256Hex(utf8(`${c.req.path}\n${body}`)),
  ]);
  return { keyHash, requestHash };
}
