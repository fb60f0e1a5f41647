import { TidarError } from '@tidar/shared/errors.ts';
import { verifyHeartbeat } from '@tidar/shared/heartbeat.ts';
import type { Context } from 'hono';
import type { AppEnv } from '../env.ts';
import { fleetOf } from '../fleet/client.ts';
import { accepted } from '../ledger/client.ts';

const BEARER = /^Bearer +([\w.-]+) *$/i;
/** A heartbeat names a few models. */
const MAX_TOKEN_CHARACTERS = 64 * 1024;

/** `POST /internal/heartbeat`: a backend says that it lives. Its signature is all that is read of it. */
export async function postHeartbeat(c: Context<AppEnv>): Promise<Response> {
  const [, token] = BEARER.exec(c.req.header('authorization') ?? '') ?? [];
  if (token === undefined || token.length > MAX_TOKEN_CHARACTERS) {
    const message = `A heartbeat comes signed, in the header 'Authorization: Bearer …', in at most ${MAX_TOKEN_CHARACTERS} characters.`;
    throw new TidarError('forbidden', message);
  }
  const heartbeat = await verifyHeartbeat(token, c.get('config').LEASE_SECRETS, Date.now());
  accepted(await fleetOf(c.env).beat(heartbeat));
  return c.body(null, 204);
}
