import { retryAfterHeader, TidarError, toTidarError } from '@tidar/shared/errors.ts';
import { type Context, type Handler, Hono, type Next } from 'hono';
import type { ContentfulStatusCode } from 'hono/utils/http-status';
import { type AppEnv, edgeConfig } from './env.ts';
import { logError } from './log.ts';
import { openAiErrorBody } from './openai/errors.ts';
import { postAdminKeys } from './routes/admin-keys.ts';
import { postChatCompletions } from './routes/chat-completions.ts';
import { getHealth } from './routes/health.ts';
import { getModel, getModels } from './routes/models.ts';
import { getUsage } from './routes/usage.ts';

/** Every route: a path has one method, any other is refused with 405. */
const ROUTES: readonly [method: 'GET' | 'POST', path: string, handler: Handler<AppEnv>][] = [
  ['POST', '/v1/chat/completions', postChatCompletions],
  ['GET', '/v1/models', getModels],
  ['GET', '/v1/models/:id{.+}', getModel],
  ['GET', '/v1/usage', getUsage],
  ['POST', '/admin/keys', postAdminKeys],
  ['GET', '/health', getHealth],
];

/** The edge's whole HTTP surface. */
export function createApp(): Hono<AppEnv> {
  const app = new Hono<AppEnv>();
  app.use(identify);
  app.use(configure);
  for (const [method, path, handler] of ROUTES) {
    app.on(method, path, handler);
    app.all(path, methodNotAllowed(method));
  }
  app.notFound((c) =>
    refuse(c, new TidarError('not_found', `There is nothing at ${c.req.method} ${c.req.path}.`)),
  );
  app.onError((error, c) => refuse(c, toTidarError(error)));
  return app;
}

/** Gives the request its id, and its answer the headers that every answer has. */
async function identify(c: Context<AppEnv>, next: Next): Promise<void> {
  const requestId = `req_${crypto.randomUUID().replaceAll('-', '')}`;
  c.set('requestId', requestId);
  await next();
  c.res.headers.set('x-request-id', requestId);
  for (const [name, value] of Object.entries(c.get('rateLimit') ?? {})) c.res.headers.set(name, value);
}

async function configure(c: Context<AppEnv>, next: Next): Promise<void> {
  c.set('config', edgeConfig(c.env));
  await next();
}

function methodNotAllowed(allowed: string): Handler<AppEnv> {
  return (c) => {
    c.header('allow', allowed);
    const message = `${c.req.path} takes ${allowed}, not ${c.req.method}.`;
    return refuse(c, new TidarError('method_not_allowed', message));
  };
}

function refuse(c: Context<AppEnv>, error: TidarError): Response {
  logError(error, c.get('requestId'));
  const status = error.httpStatus as ContentfulStatusCode;
  return c.json(openAiErrorBody(error), status, retryAfterHeader(error));
}
