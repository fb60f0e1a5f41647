import { parseJson } from '@tidar/shared/parse.ts';
import type { Context } from 'hono';
import { z } from 'zod';
import { createApiKey } from '../auth/api-key.ts';
import { authenticateAdmin } from '../auth/authenticate.ts';
import type { AppEnv } from '../env.ts';
import { ledgerOf } from '../ledger/client.ts';
import { readJsonText } from './body.ts';

const DEFAULT_REQUESTS_PER_MINUTE = 600;
const limit = z
  .int('expected a whole number')
  .min(1, 'expected 1 or more')
  .max(1_000_000, 'expected a million or less');

const newKeySchema = z.strictObject({
  name: z
    .string('expected a string')
    .min(1, 'expected a name')
    .max(128, 'expected at most 128 characters')
    .optional(),
  requests_per_minute: limit.default(DEFAULT_REQUESTS_PER_MINUTE),
});

/** `POST /admin/keys`: makes a key and shows it this once. */
export async function postAdminKeys(c: Context<AppEnv>): Promise<Response> {
  const { ADMIN_TOKEN, KEY_SECRETS } = c.get('config');
  await authenticateAdmin(c.req.header('authorization'), ADMIN_TOKEN);
  const { name, requests_per_minute: requestsPerMinute } = parseJson(
    newKeySchema,
    await readJsonText(c.req.raw),
  );
  const { keyId, secretHash, text } = await createApiKey(KEY_SECRETS);
  const named = name === undefined ? {} : { name };
  await ledgerOf(c.env, keyId).create({ keyId, secretHash, requestsPerMinute, ...named });
  return c.json(
    { object: 'api_key', id: keyId, key: text, requests_per_minute: requestsPerMinute, ...named },
    201,
  );
}
