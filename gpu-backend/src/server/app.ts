import { errorBody, retryAfterHeader, TidarError, toTidarError } from '@tidar/shared/errors.ts';
import type { Health } from '@tidar/shared/protocol.ts';
import { PROTOCOL_VERSION } from '@tidar/shared/protocol.ts';
import { requestIdIn, type TraceContext, traceFields, traceOf } from '@tidar/shared/trace-context.ts';
import { type Context, Hono } from 'hono';
import type { Backend } from './backend.ts';
import { handleGenerate } from './generate-route.ts';
import { handleForget, handleRead, handleRenew } from './requests-route.ts';

interface AppEnv {
  Variables: { trace: TraceContext };
}

/** The backend's HTTP interface. Whoever reaches it must hold a lease for anything that takes work. */
export function createApp(backend: Backend): Hono<AppEnv> {
  const app = new Hono<AppEnv>();
  app.use(async (context, next) => {
    context.set('trace', traceOf(context.req.raw.headers));
    await next();
  });
  app.post(GENERATE, (context) => handleGenerate(backend, context.req.raw, context.get('trace')));
  app.post(READ, (context) =>
    handleRead(backend, context.req.param('id'), context.req.raw, context.get('trace')),
  );
  app.post(RENEW, (context) =>
    handleRenew(backend, context.req.param('id'), context.req.raw, context.get('trace')),
  );
  app.post(FORGET, (context) =>
    handleForget(backend, context.req.param('id'), context.req.raw, context.get('trace')),
  );
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
  app.onError((thrown, context) => errorResponse(backend, thrown, context));
  return app;
}

const GENERATE = '/v1/generate';
const READ = '/v1/requests/:id';
const RENEW = '/v1/requests/:id/lease';
const FORGET = '/v1/requests/:id/forget';
const ROUTES = [
  [GENERATE, 'POST'],
  [READ, 'POST'],
  [RENEW, 'POST'],
  [FORGET, 'POST'],
  ['/v1/models', 'GET'],
  ['/health', 'GET'],
  ['/metrics', 'GET'],
] as const;

/** While the model is loaded, at first or after a crash, this throws `backend_unavailable`. */
function health(backend: Backend): Health {
  return { status: backend.generations.isDraining ? 'draining' : 'ok', models: [backend.model.id] };
}

function errorResponse(
  backend: Backend,
  thrown: unknown,
  { req, var: { trace } }: Context<AppEnv>,
): Response {
  const error = toTidarError(thrown);
  if (req.path === GENERATE) backend.metrics.onError(error.code);
  const { code, message, internal } = error;
  const fields = { request_id: requestIdIn(req.raw.headers), ...traceFields(trace), code, message, internal };
  backend.log('request_refused', fields);
  return Response.json(errorBody(error), { status: error.httpStatus, headers: retryAfterHeader(error) });
}
