import { TidarError } from '@tidar/shared/errors.ts';
import { parse, parseJson } from '@tidar/shared/parse.ts';
import type { Context } from 'hono';
import { createApiKey } from '../auth/api-key.ts';
import { authorize } from '../auth/authorize.ts';
import { directoryOf } from '../directory/client.ts';
import type { AppEnv } from '../env.ts';
import { readJsonText } from './body.ts';
import { queryOf } from './query.ts';
import { adminUsageQuerySchema, auditQuerySchema, newTokenSchema } from './schemas.ts';

/** `POST /admin/tokens`: makes a token of the admin API and shows it this once. */
export async function postAdminTokens(c: Context<AppEnv>): Promise<Response> {
  const actor = await authorize(c, 'admin');
  const asked = parseJson(newTokenSchema, await readJsonText(c));
  const { keyId: id, secretHash: hash, text } = await createApiKey(c.get('config').KEY_SECRETS, 'tda');
  const token = { id, hash, name: asked.name, scopes: asked.scopes, expiresAt: asked.expires_at };
  const view = await directoryOf(c.env).createToken(token, actor.name);
  return c.json({ object: 'admin_token', ...view, token: text }, 201);
}

/** `GET /admin/tokens`. */
export async function getAdminTokens(c: Context<AppEnv>): Promise<Response> {
  await authorize(c, 'admin');
  const tokens = await directoryOf(c.env).tokens();
  return c.json({ object: 'list', data: tokens.map((view) => ({ object: 'admin_token', ...view })) });
}

/** `POST /admin/tokens/:id/revoke`. */
export async function postRevokeToken(c: Context<AppEnv>): Promise<Response> {
  const actor = await authorize(c, 'admin');
  const view = await directoryOf(c.env).revokeToken(c.req.param('id') ?? '', actor.name);
  if (view === undefined) throw new TidarError('not_found', 'There is no admin token with this id.');
  return c.json({ object: 'admin_token', ...view });
}

/** `GET /admin/audit?before=&limit=`: every change, newest first. */
export async function getAudit(c: Context<AppEnv>): Promise<Response> {
  await authorize(c, 'audit:read');
  const { before, limit } = parse(auditQuerySchema, queryOf(c));
  const entries = await directoryOf(c.env).audit(before, limit + 1);
  const data = entries
    .slice(0, limit)
    .map(({ detail, ...entry }) => ({ ...entry, detail: JSON.parse(detail) as unknown }));
  return c.json({ object: 'list', data, has_more: entries.length > limit });
}

/** `GET /admin/usage?key=&model=&from=&to=&group=`: what each key used on each day of each model, or sums of it. */
export async function getAdminUsage(c: Context<AppEnv>): Promise<Response> {
  await authorize(c, 'usage:read');
  const { key, group: groups, limit, ...range } = parse(adminUsageQuerySchema, queryOf(c));
  const rows = await directoryOf(c.env).totals({ keyId: key, groups, limit: limit + 1, ...range });
  return c.json({ object: 'list', data: rows.slice(0, limit), has_more: rows.length > limit });
}
