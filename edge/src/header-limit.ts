import { TidarError } from '@tidar/shared/errors.ts';
import type { Context, Next } from 'hono';
import type { AppEnv } from './env.ts';

/** A heartbeat of many models is the largest that is any use. */
const MAX_HEADER_BYTES = 96 * 1024;

/** workerd itself would take half a megabyte of each connection. */
export async function headerLimit(c: Context<AppEnv>, next: Next): Promise<void> {
  let numBytes = c.req.url.length;
  for (const [name, value] of c.req.raw.headers) numBytes += name.length + value.length;
  if (numBytes <= MAX_HEADER_BYTES) return next();
  const message = `The address and the headers are larger than ${MAX_HEADER_BYTES} bytes.`;
  throw new TidarError('payload_too_large', message);
}
