import { traceFields, traceHeaders, traceOf, TRACEPARENT } from '@tidar/shared/trace-context.ts';
import { HEARTBEAT_PATH } from '@tidar/shared/heartbeat.ts';
import type { Context, Next } from 'hono';
import { routePath } from 'hono/route';
import type { AppEnv } from './env.ts';
import { logWith } from './log.ts';

/** Of a draft by the authors of `traceparent`: the trace in which a request was answered, for who asked. */
const TRACE_RESPONSE = 'traceresponse';
/** What asks every few seconds says nothing while all is well. */
const QUIET_PATHS = new Set([HEARTBEAT_PATH, '/health']);

/** Gives the request its id, its place in a trace and its log, and its answer the headers that every answer has. */
export async function identify(c: Context<AppEnv>, next: Next): Promise<void> {
  const receivedAt = performance.now();
  const id = crypto.randomUUID().replaceAll('-', '');
  // A trace that begins here has the request's id, so that either finds the other.
  const trace = traceOf(c.req.raw.headers, id);
  const requestId = `req_${id}`;
  c.set('requestId', requestId);
  c.set('receivedAt', receivedAt);
  c.set('trace', trace);
  c.set('log', logWith({ request_id: requestId, ...traceFields(trace) }));
  await next();
  c.res.headers.set('x-request-id', requestId);
  c.res.headers.set(TRACE_RESPONSE, traceHeaders(trace)[TRACEPARENT] ?? '');
  for (const [name, value] of Object.entries(c.get('rateLimit') ?? {})) c.res.headers.set(name, value);
  logAnswered(c, performance.now() - receivedAt);
}

/** Of a stream the head: how it went on, the line of its relaying tells. */
function logAnswered(c: Context<AppEnv>, milliseconds: number): void {
  const { status } = c.res;
  if (QUIET_PATHS.has(c.req.path) && status < 400) return;
  const { method } = c.req;
  // The route as it is registered: a path may hold what a client put there by mistake.
  const route = routePath(c, -1);
  c.get('log')('info', 'request', { method, route, status, ms: Math.round(milliseconds) });
}
