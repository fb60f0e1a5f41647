import { TidarError } from '@tidar/shared/errors.ts';
import { parse, parseJson } from '@tidar/shared/parse.ts';
import type { Context } from 'hono';
import { authorize } from '../auth/authorize.ts';
import { directoryOf } from '../directory/client.ts';
import type { AppEnv } from '../env.ts';
import { accepted, ledgerOf } from '../ledger/client.ts';
import { keyIdOf, noSuchKey } from './admin-keys.ts';
import { readJsonText } from './body.ts';
import { queryOf } from './query.ts';
import { backupQuerySchema, importSchema } from './schemas.ts';

/** A page of a backup may hold long answers. */
const MAX_PAGE_BYTES = 16 * 1024 * 1024;

/** `GET /admin/export?after=`: a page of the directory's own tables. */
export async function getExport(c: Context<AppEnv>): Promise<Response> {
  const actor = await authorize(c, 'admin');
  const { after } = parse(backupQuerySchema, queryOf(c));
  return c.json(await directoryOf(c.env).exportPage(after, actor.name));
}

/** `GET /admin/export/keys/:id?after=`: a page of a ledger's tables. */
export async function getKeyExport(c: Context<AppEnv>): Promise<Response> {
  await authorize(c, 'admin');
  const { after } = parse(backupQuerySchema, queryOf(c));
  const ledger = ledgerOf(c.env, keyIdOf(c));
  if ((await ledger.view()) === undefined) throw noSuchKey();
  return c.json(await ledger.exportPage(after));
}

/** `POST /admin/import`: reads a page of the directory's back. */
export async function postImport(c: Context<AppEnv>): Promise<Response> {
  await authorize(c, 'admin');
  const { version, rows } = parseJson(importSchema, await readJsonText(c, MAX_PAGE_BYTES));
  return c.json(accepted(await directoryOf(c.env).importRows(version, rows)));
}

/** `POST /admin/import/keys/:id`: reads a page of a ledger's back; the key's own row makes it live. */
export async function postKeyImport(c: Context<AppEnv>): Promise<Response> {
  const actor = await authorize(c, 'admin');
  const { version, rows } = parseJson(importSchema, await readJsonText(c, MAX_PAGE_BYTES));
  const keyId = keyIdOf(c);
  if (rows.some(({ table, row }) => table === 'key' && row.key_id !== keyId)) {
    throw new TidarError('invalid_request', 'The row is of another key.', { param: 'rows' });
  }
  return c.json(accepted(await ledgerOf(c.env, keyId).importRows(version, rows, actor.name)));
}
