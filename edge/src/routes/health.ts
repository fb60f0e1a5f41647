import type { Context } from 'hono';
import type { AppEnv } from '../env.ts';
import { readFleet, servedModels } from '../relay/fleet.ts';
import { fleetSource } from './fleet-source.ts';

/** `GET /health`: 200 once some backend can take requests. */
export async function getHealth(c: Context<AppEnv>): Promise<Response> {
  const fleet = await readFleet(fleetSource(c));
  const isReady = fleet.some(({ status }) => status === 'ok');
  const backends = fleet.map(({ status, models }) => ({ status, models: models.map(({ id }) => id) }));
  const models = servedModels(fleet).map(({ id }) => id);
  return c.json({ status: isReady ? 'ok' : 'unavailable', models, backends }, isReady ? 200 : 503);
}
