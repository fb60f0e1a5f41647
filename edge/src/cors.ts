import { TidarError } from '@tidar/shared/errors.ts';
import type { Context, Next } from 'hono';
import type { AppEnv } from './env.ts';

/** What pages of other origins may call: never the admin API, nor what backends call. */
const OPEN_PATHS = /^\/(v1\/|openapi\.json$|health$)/;
const NAMES = /^[\w!#$%&'*+.^`|~-]+( *, *[\w!#$%&'*+.^`|~-]+)*$/;
const MAX_NAMES_LENGTH = 2000;
/** So long a browser need not ask again. */
const MAX_AGE_SECONDS = 600;
/** What a page may read of an answer's head beside what it always may. */
const EXPOSED = [
  ...[
    'x-request-id',
    'traceresponse',
    'retry-after',
    'retry-after-ms',
    'x-should-retry',
    'idempotent-replayed',
  ],
  ...['requests', 'tokens'].flatMap((what) =>
    ['limit', 'remaining', 'reset'].map((state) => `x-ratelimit-${state}-${what}`),
  ),
].join(', ');

/**
 * Lets pages of the origins in `CORS_ORIGINS` call the API from a browser. Keys travel in a header that a page sets
 * itself, never in cookies, so no page can use what it was not given: credentials are not allowed.
 */
export async function cors(c: Context<AppEnv>, next: Next): Promise<Response | void> {
  const origin = c.req.header('origin');
  if (origin === undefined || !OPEN_PATHS.test(c.req.path)) return next();
  const allowed = allowedOrigin(origin, c.get('config').CORS_ORIGINS);
  const isPreflight =
    c.req.method === 'OPTIONS' && c.req.header('access-control-request-method') !== undefined;
  if (isPreflight) return preflight(c, allowed);
  await next();
  c.res.headers.append('vary', 'origin');
  if (allowed === undefined) return;
  c.res.headers.set('access-control-allow-origin', allowed);
  c.res.headers.set('access-control-expose-headers', EXPOSED);
}

function preflight(c: Context<AppEnv>, allowed: string | undefined): Response {
  if (allowed === undefined) {
    const message = 'Pages of this origin may not call the API: only those in CORS_ORIGINS may.';
    throw new TidarError('forbidden', message);
  }
  const names = c.req.header('access-control-request-headers') ?? '';
  const isUsable = names.length <= MAX_NAMES_LENGTH && NAMES.test(names);
  return c.body(null, 204, {
    'access-control-allow-origin': allowed,
    'access-control-allow-methods': 'GET, POST, DELETE',
    // Clients send many headers of their own, and a header alone lets nobody in.
    ...(isUsable ? { 'access-control-allow-headers': names } : {}),
    'access-control-max-age': String(MAX_AGE_SECONDS),
    vary: 'origin, access-control-request-headers',
  });
}

function allowedOrigin(origin: string, origins: readonly string[]): string | undefined {
  if (origins.includes('*')) return '*';
  return origins.includes(origin) ? origin : undefined;
}
