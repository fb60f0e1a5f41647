import { TidarError } from '@tidar/shared/errors.ts';
import type { Context } from 'hono';
import { directoryOf } from '../directory/client.ts';
import { type Actor, type Scope, SCOPES } from '../directory/types.ts';
import type { AppEnv } from '../env.ts';
import { readApiKey } from './api-key.ts';
import { adminBearer, equalSecrets } from './authenticate.ts';

/** Who makes an admin request: refuses all but the holders of an admin token that has the scope. */
export async function authorize(c: Context<AppEnv>, scope: Scope): Promise<Actor> {
  const actor = await authenticateAdmin(c);
  if (!actor.scopes.includes(scope) && !actor.scopes.includes('admin')) {
    const message = `This admin token lacks the scope '${scope}'. It has: ${actor.scopes.join(', ')}.`;
    throw new TidarError('forbidden', message);
  }
  return actor;
}

/** Who holds the admin token, whatever its scopes are. */
export async function authenticateAdmin(c: Context<AppEnv>): Promise<Actor> {
  const actor = await actorOf(c);
  if (actor === undefined)
    throw new TidarError('invalid_api_key', 'The admin token is not valid: check that it was copied whole.');
  return actor;
}

async function actorOf(c: Context<AppEnv>): Promise<Actor | undefined> {
  const { ADMIN_TOKEN, KEY_SECRETS } = c.get('config');
  const given = adminBearer(c.req.header('authorization'));
  if (await equalSecrets(given, ADMIN_TOKEN)) return { name: 'admin', scopes: SCOPES };
  const token = await readApiKey(given, KEY_SECRETS, 'tda');
  return token && directoryOf(c.env).actor(token.keyId, token.secretHash);
}
