import { parse } from '@tidar/shared/parse.ts';
import type { Context } from 'hono';
import { authenticate } from '../auth/authenticate.ts';
import type { AppEnv } from '../env.ts';
import { accepted, ledgerOf } from '../ledger/client.ts';
import { queryOf } from './query.ts';
import { usageQuerySchema } from './schemas.ts';

/** `GET /v1/usage?model=&from=&to=&limit=`: what the caller's key was billed by day and model, and its last requests. */
export async function getUsage(c: Context<AppEnv>): Promise<Response> {
  const key = await authenticate(c.req.header('authorization'), c.get('config').KEY_SECRETS);
  const { limit, ...filter } = parse(usageQuerySchema, queryOf(c));
  return c.json(accepted(await ledgerOf(c.env, key.keyId).usage(key.secretHash, limit, filter)));
}
