import { errorBody, retryAfterHeader, TidarError, toTidarError } from '@tidar/shared/errors.ts';
import type { Health } from '@tidar/shared/protocol.ts';
import { PROTOCOL_VERSION } from '@tidar/shared/protocol.ts';
import { Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import type { Backend } from './backend.ts';
import { handleGenerate } from './generate-route.ts';
import { handleRead, handleRenew } from './requests-route.ts';

const MAX_BODY_BYTES = 8 << 20;

/** The backend's HTTP interface. Whoever reaches it must hold a lease for anything that takes work. */
export function createApp(backend: Backend): Hono {
  const app = new Hono();
  const limitBody = bodyLimit({
    maxSize: MAX_BODY_BYTES,
    onError: () => {
      throw new TidarError('payload_too_large', `The body is larger than ${MAX_BODY_BYTES} bytes.`);
    },
  });
  app.post(GENERATE, limitBody, (context) => handleGenerate(backend, context.req.raw));
  app.post(READ, limitBody, (context) => handleRead(backend, context.req.param('id'), context.req.raw));
  app.post(RENEW, limitBody, (context) => handleRenew(backend, context.req.param('id'), context.req.raw));
  app.get('/v1/models', (context) =>
    context.json({ protocol_version: PROTOCOL_VERSION, models: [backend.model] }),
  );
  app.get('/health', (context) => context.json(health(backend)));
  app.get('/metrics', async (context) => {
    return context.body(await backend.metrics.render(), 200, { 'content-type': backend.metrics.contentType });
  });
  for (const [path, method] of ROUTES) {
    app.all(path, (context) => {
      throw new TidarError(
        'method_not_allowed',
        `${context.req.method} ${context.req.path} is not allowed; use ${method}.`,
      );
    });
  }
  app.notFound((context) => {
    throw new TidarError('not_found', `There is no ${context.req.path} here.`);
  });
  app.onError((thrown, context) => errorResponse(backend, thrown, context.req.path));
  return app;
}

const GENERATE = '/v1/generate';
const READ = '/v1/requests/:id';
const RENEW = '/v1/requests/:id/lease';
const ROUTES = [
  [GENERATE, 'POST'],
  [READ, 'POST'],
  [RENEW, 'POST'],
  ['/v1/models', 'GET'],
  ['/health', 'GET'],
  ['/metrics', 'GET'],
] as const;

/** While the model is loaded, at first or after a crash, this throws `backend_unavailable`. */
function health(backend: Backend): Health {
  return { status: backend.generations.isDraining ? 'draining' : 'ok', models: [backend.model.id] };
}

function errorResponse(backend: Backend, thrown: unknown, path: string): Response {
  const error = toTidarError(thrown);
  if (path === GENERATE) backend.metrics.onError(error.code);
  if (error.internal !== undefined) {
    backend.log('request_refused', { code: error.code, message: error.message, internal: error.internal });
  }
  return Response.json(errorBody(error), { status: error.httpStatus, headers: retryAfterHeader(error) });
}
