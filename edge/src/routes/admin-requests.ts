import { TidarError } from '@tidar/shared/errors.ts';
import { parse } from '@tidar/shared/parse.ts';
import type { Context } from 'hono';
import { authorize } from '../auth/authorize.ts';
import { directoryOf } from '../directory/client.ts';
import type { AppEnv } from '../env.ts';
import { ledgerOf } from '../ledger/client.ts';
import type { RequestRecord } from '../ledger/types.ts';
import { keyIdOf, noSuchKey } from './admin-keys.ts';
import { queryOf } from './query.ts';
import { receiptFor } from './receipts.ts';
import { liveQuerySchema, recordQuerySchema, usageQuerySchema } from './schemas.ts';

/** Each of them is a call to a ledger. */
const MAX_LEDGERS = 100;
/** A ledger with an open request says that it is used at least once in this time. */
const LIVE_MS = 3 * 60_000;

/** `GET /admin/requests?limit=`: the requests of all keys that are open now, newest first. */
export async function getLiveRequests(c: Context<AppEnv>): Promise<Response> {
  await authorize(c, 'usage:read');
  const { limit } = parse(liveQuerySchema, queryOf(c));
  const keyIds = await directoryOf(c.env).usedKeys(Date.now() - LIVE_MS, MAX_LEDGERS + 1);
  const lists = await Promise.all(
    keyIds.slice(0, MAX_LEDGERS).map(async (keyId) => {
      const requests = await ledgerOf(c.env, keyId).live(limit + 1);
      return requests.map((request) => ({ object: 'request' as const, key_id: keyId, ...request }));
    }),
  );
  const all = lists.flat().sort((one, other) => other.created_ms - one.created_ms);
  const hasMore = all.length > limit || keyIds.length > MAX_LEDGERS;
  return c.json({ object: 'list', data: all.slice(0, limit), has_more: hasMore });
}

/** `GET /admin/requests/:id?key=`: one request of any key with its receipt. */
export async function getAdminRequest(c: Context<AppEnv>): Promise<Response> {
  await authorize(c, 'usage:read');
  const { key } = parse(recordQuerySchema, queryOf(c));
  const requestId = c.req.param('id') ?? '';
  const keyIds = key === undefined ? await directoryOf(c.env).usedKeys(0, MAX_LEDGERS) : [key];
  const found = await Promise.all(
    keyIds.map(async (keyId) => ({ keyId, request: await ledgerOf(c.env, keyId).record(requestId) })),
  );
  const match = found.find((each) => each.request !== undefined);
  if (match?.request === undefined) throw noSuchRequest(key, keyIds.length);
  const request: RequestRecord = match.request;
  const receipt = await receiptFor(c.get('config'), match.keyId, request);
  return c.json({ object: 'usage.request', key_id: match.keyId, request, receipt });
}

/** `GET /admin/keys/:id/usage?model=&from=&to=&limit=`: what the key's holder sees at `GET /v1/usage`. */
export async function getKeyUsage(c: Context<AppEnv>): Promise<Response> {
  await authorize(c, 'usage:read');
  const { limit, ...filter } = parse(usageQuerySchema, queryOf(c));
  const report = await ledgerOf(c.env, keyIdOf(c)).report(limit, filter);
  if (report === undefined) throw noSuchKey();
  return c.json(report);
}

function noSuchRequest(key: string | undefined, numKeys: number): TidarError {
  const message =
    key === undefined
      ? `None of the ${numKeys} keys that were used last has a request with this id: name its key.`
      : 'This key has no request with this id.';
  return new TidarError('not_found', message);
}
