import type { Context, Next } from 'hono';
import type { AppEnv } from './env.ts';

/** Of every answer that has none of its own: it is data, nothing that a browser shows, runs, frames or keeps. */
const HEADERS: Readonly<Record<string, string>> = {
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
};

export async function responseHeaders(c: Context<AppEnv>, next: Next): Promise<void> {
  await next();
  for (const [name, value] of Object.entries(HEADERS))
    if (!c.res.headers.has(name)) c.res.headers.set(name, value);
}
