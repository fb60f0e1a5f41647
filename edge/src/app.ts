import { TidarError, toTidarError } from '@tidar/shared/errors.ts';
import { HEARTBEAT_PATH } from '@tidar/shared/heartbeat.ts';
import { type Context, type Handler, Hono, type Next } from 'hono';
import type { ContentfulStatusCode } from 'hono/utils/http-status';
import { cors } from './cors.ts';
import { type AppEnv, edgeConfig } from './env.ts';
import { headerLimit } from './header-limit.ts';
import { retryHeaders } from './ledger/client.ts';
import { identify } from './identify.ts';
import { logError } from './log.ts';
import { openAiErrorBody } from './openai/errors.ts';
import { getExport, getKeyExport, postImport, postKeyImport } from './routes/admin-backup.ts';
import {
  getAdminKey,
  getAdminKeys,
  patchAdminKey,
  postAdminKeys,
  postRevoke,
  postRotate,
} from './routes/admin-keys.ts';
import { getBackends, getMe } from './routes/admin-fleet.ts';
import { getAdminRequest, getKeyUsage, getLiveRequests } from './routes/admin-requests.ts';
import {
  getAdminTokens,
  getAdminUsage,
  getAudit,
  postAdminTokens,
  postRevokeToken,
} from './routes/admin-tokens.ts';
import { postChatCompletions, postCompletions, postResponses } from './routes/completions.ts';
import { postHeartbeat } from './routes/heartbeat.ts';
import { getHealth } from './routes/health.ts';
import { getModel, getModels } from './routes/models.ts';
import { getOpenApi } from './routes/openapi.ts';
import { getReceiptKeys, getRequest } from './routes/receipts.ts';
import { getAsset, getPage } from './routes/pages.ts';
import { deleteResponse, postCancel } from './routes/response-ends.ts';
import { getResponse } from './routes/responses.ts';
import { getUsage } from './routes/usage.ts';
import { responseHeaders } from './response-headers.ts';
import { shield } from './shield.ts';

type Method = 'GET' | 'POST' | 'PATCH' | 'DELETE';

/** Every path with its methods; any other method is refused with 405. */
const ROUTES: Readonly<Record<string, Partial<Record<Method, Handler<AppEnv>>>>> = {
  '/v1/chat/completions': { POST: postChatCompletions },
  '/v1/completions': { POST: postCompletions },
  '/v1/responses': { POST: postResponses },
  '/v1/responses/:id': { GET: getResponse, DELETE: deleteResponse },
  '/v1/responses/:id/cancel': { POST: postCancel },
  '/v1/models': { GET: getModels },
  '/v1/models/:id{.+}': { GET: getModel },
  '/v1/usage': { GET: getUsage },
  '/v1/usage/requests/:id': { GET: getRequest },
  '/v1/receipt-keys': { GET: getReceiptKeys },
  '/admin/keys': { POST: postAdminKeys, GET: getAdminKeys },
  '/admin/keys/:id': { GET: getAdminKey, PATCH: patchAdminKey },
  '/admin/keys/:id/rotate': { POST: postRotate },
  '/admin/keys/:id/revoke': { POST: postRevoke },
  '/admin/keys/:id/usage': { GET: getKeyUsage },
  '/admin/me': { GET: getMe },
  '/admin/usage': { GET: getAdminUsage },
  '/admin/requests': { GET: getLiveRequests },
  '/admin/requests/:id': { GET: getAdminRequest },
  '/admin/backends': { GET: getBackends },
  '/admin/audit': { GET: getAudit },
  '/admin/tokens': { POST: postAdminTokens, GET: getAdminTokens },
  '/admin/tokens/:id/revoke': { POST: postRevokeToken },
  '/admin/export': { GET: getExport },
  '/admin/export/keys/:id': { GET: getKeyExport },
  '/admin/import': { POST: postImport },
  '/admin/import/keys/:id': { POST: postKeyImport },
  [HEARTBEAT_PATH]: { POST: postHeartbeat },
  '/health': { GET: getHealth },
  '/': { GET: getPage },
  '/console': { GET: getPage },
  '/assets/:name': { GET: getAsset },
  '/openapi.json': { GET: getOpenApi },
};

/** The edge's whole HTTP surface. */
export function createApp(): Hono<AppEnv> {
  const app = new Hono<AppEnv>();
  app.use(identify);
  app.use(responseHeaders);
  app.use(headerLimit);
  app.use(configure);
  app.use(shield);
  app.use(cors);
  for (const [path, methods] of Object.entries(ROUTES)) {
    for (const [method, handler] of Object.entries(methods)) app.on(method, path, handler);
    app.all(path, methodNotAllowed(Object.keys(methods)));
  }
  app.notFound((c) =>
    refuse(c, new TidarError('not_found', `There is nothing at ${c.req.method} ${c.req.path}.`)),
  );
  app.onError((error, c) => refuse(c, toTidarError(error)));
  return app;
}

async function configure(c: Context<AppEnv>, next: Next): Promise<void> {
  c.set('config', edgeConfig(c.env));
  await next();
}

function methodNotAllowed(methods: readonly string[]): Handler<AppEnv> {
  const allowed = methods.join(', ');
  return (c) => {
    c.header('allow', allowed);
    const message = `${c.req.path} takes ${allowed}, not ${c.req.method}.`;
    return refuse(c, new TidarError('method_not_allowed', message));
  };
}

function refuse(c: Context<AppEnv>, error: TidarError): Response {
  logError(error, c.get('log'));
  const status = error.httpStatus as ContentfulStatusCode;
  return c.json(openAiErrorBody(error), status, retryHeaders(error));
}
