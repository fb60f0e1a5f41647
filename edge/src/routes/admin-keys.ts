import { TidarError } from '@tidar/shared/errors.ts';
import { parse, parseJson } from '@tidar/shared/parse.ts';
import type { Context } from 'hono';
import { createApiKey, createSecret } from '../auth/api-key.ts';
import { authorize } from '../auth/authorize.ts';
import { directoryOf } from '../directory/client.ts';
import type { AppEnv } from '../env.ts';
import { accepted, ledgerOf } from '../ledger/client.ts';
import { settingsChangeSchema, withDefaults } from '../ledger/settings.ts';
import type { KeyAnswer, KeyView } from '../ledger/types.ts';
import { readJsonText } from './body.ts';
import { queryOf } from './query.ts';
import { keyIdParam, keysQuerySchema, rotateSchema } from './schemas.ts';

/** `POST /admin/keys`: makes a key and shows it this once. */
export async function postAdminKeys(c: Context<AppEnv>): Promise<Response> {
  const actor = await authorize(c, 'keys:write');
  const settings = withDefaults(parseJson(settingsChangeSchema, await readJsonText(c)));
  const { keyId, secretHash, text } = await createApiKey(c.get('config').KEY_SECRETS);
  const made = await ledgerOf(c.env, keyId).create({ keyId, secretHash, settings }, actor.name);
  return c.json({ ...keyObject(changedKey(made)), key: text }, 201);
}

/** `GET /admin/keys?after=&limit=`: all keys, in pages. */
export async function getAdminKeys(c: Context<AppEnv>): Promise<Response> {
  await authorize(c, 'keys:read');
  const { after, limit } = parse(keysQuerySchema, queryOf(c));
  const keys = await directoryOf(c.env).keys(after, limit + 1);
  const data = keys.slice(0, limit).map(keyObject);
  return c.json({ object: 'list', data, has_more: keys.length > limit });
}

/** `GET /admin/keys/:id`. */
export async function getAdminKey(c: Context<AppEnv>): Promise<Response> {
  await authorize(c, 'keys:read');
  return c.json(keyObject(found(await ledgerOf(c.env, keyIdOf(c)).view())));
}

/** `PATCH /admin/keys/:id`: changes the settings that are given. */
export async function patchAdminKey(c: Context<AppEnv>): Promise<Response> {
  const actor = await authorize(c, 'keys:write');
  const change = parseJson(settingsChangeSchema, await readJsonText(c));
  return c.json(keyObject(changedKey(await ledgerOf(c.env, keyIdOf(c)).update(change, actor.name))));
}

/** `POST /admin/keys/:id/rotate`: a new secret, shown this once; the old one stays valid for a while. */
export async function postRotate(c: Context<AppEnv>): Promise<Response> {
  const actor = await authorize(c, 'keys:write');
  const { grace_seconds: graceSeconds } = parseJson(rotateSchema, await readJsonText(c));
  const { keyId, secretHash, text } = await createSecret(c.get('config').KEY_SECRETS, keyIdOf(c));
  const rotated = await ledgerOf(c.env, keyId).rotate(secretHash, graceSeconds * 1000, actor.name);
  return c.json({ ...keyObject(changedKey(rotated)), key: text });
}

/** `POST /admin/keys/:id/revoke`: ends the key now and for good. */
export async function postRevoke(c: Context<AppEnv>): Promise<Response> {
  const actor = await authorize(c, 'keys:write');
  return c.json(keyObject(changedKey(await ledgerOf(c.env, keyIdOf(c)).revoke(actor.name))));
}

/** The id in the path; one that cannot be a key's is not looked up. */
export function keyIdOf(c: Context<AppEnv>): string {
  const id = c.req.param('id') ?? '';
  if (!keyIdParam.safeParse(id).success) throw noSuchKey();
  return id;
}

function found(view: KeyView | undefined): KeyView {
  if (view === undefined) throw noSuchKey();
  return view;
}

function changedKey(answer: KeyAnswer | undefined): KeyView {
  return found(answer && accepted(answer).key);
}

export function noSuchKey(): TidarError {
  return new TidarError('not_found', 'There is no key with this id.');
}

function keyObject(view: KeyView): object {
  return { object: 'api_key', ...view };
}
