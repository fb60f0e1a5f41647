import { parse } from '@tidar/shared/parse.ts';
import type { Context } from 'hono';
import { z } from 'zod';
import { authenticate } from '../auth/authenticate.ts';
import type { AppEnv } from '../env.ts';
import { accepted, ledgerOf } from '../ledger/client.ts';

const querySchema = z.strictObject({
  limit: z.coerce
    .number()
    .pipe(z.int().min(0, 'expected 0 to 100').max(100, 'expected 0 to 100'))
    .default(20),
});

/** `GET /v1/usage?limit=N`: what the caller's key was billed, and its last requests. */
export async function getUsage(c: Context<AppEnv>): Promise<Response> {
  const key = await authenticate(c.req.header('authorization'), c.get('config').KEY_SECRETS);
  const { limit } = parse(querySchema, c.req.query());
  return c.json(accepted(await ledgerOf(c.env, key.keyId).usage(key.secretHash, limit)));
}
