import { TidarError } from '@tidar/shared/errors.ts';
import type { Context } from 'hono';
import type { AppEnv } from '../env.ts';

/** The pages, by their paths. */
const PAGES: Readonly<Record<string, string>> = { '/': 'playground', '/console': 'console' };

const TYPES: Readonly<Record<string, string>> = {
  html: 'text/html; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
  css: 'text/css; charset=utf-8',
  svg: 'image/svg+xml',
};

/** No way out of the build's own folder. */
const FORM = /^(?:assets\/)?[\w-]+(?:\.[\w-]+)+$/;

/** Nothing inline, nothing from anywhere else, nothing in a frame. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
].join('; ');

const HEADERS = {
  'content-security-policy': POLICY,
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'permissions-policy': 'camera=(), geolocation=(), microphone=()',
};

/** A page: small, and asked for anew each time, so that it always names the files of its own build. */
export function getPage(c: Context<AppEnv>): Promise<Response> {
  return file(c, `${PAGES[c.req.path] ?? ''}.html`, 'no-cache');
}

/** What a page loads: its name changes with its content. */
export function getAsset(c: Context<AppEnv>): Promise<Response> {
  return file(c, `assets/${c.req.param('name') ?? ''}`, 'public, max-age=31536000, immutable');
}

/** A file of the build; it is there as gzip too, since workerd compresses nothing by itself. */
async function file(c: Context<AppEnv>, name: string, caching: string): Promise<Response> {
  const type = TYPES[name.slice(name.lastIndexOf('.') + 1)];
  const isZipped = /\bgzip\b/.test(c.req.header('accept-encoding') ?? '');
  const stored =
    type === undefined || !FORM.test(name)
      ? undefined
      : await c.env.PAGES?.fetch(`http://pages/${name}${isZipped ? '.gz' : ''}`);
  if (type === undefined || stored?.ok !== true || stored.body === null) {
    await stored?.body?.cancel();
    throw new TidarError('not_found', `There is nothing at ${c.req.method} ${c.req.path}.`);
  }
  const headers = { ...HEADERS, 'content-type': type, 'cache-control': caching, vary: 'accept-encoding' };
  if (!isZipped) return new Response(stored.body, { headers });
  return new Response(stored.body, {
    headers: { ...headers, 'content-encoding': 'gzip' },
    encodeBody: 'manual',
  });
}
