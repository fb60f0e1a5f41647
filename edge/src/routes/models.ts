import { TidarError } from '@tidar/shared/errors.ts';
import type { ModelInfo } from '@tidar/shared/protocol.ts';
import type { Context } from 'hono';
import { authenticate } from '../auth/authenticate.ts';
import type { AppEnv } from '../env.ts';
import { verifyKey } from '../ledger/client.ts';
import { readFleet, routesTo, servedModels } from '../relay/fleet.ts';
import { fleetSource } from './fleet-source.ts';

/** `GET /v1/models`. */
export async function getModels(c: Context<AppEnv>): Promise<Response> {
  const models = await modelsFor(c);
  return c.json({ object: 'list', data: models.map(modelObject) });
}

/** `GET /v1/models/:id`. */
export async function getModel(c: Context<AppEnv>): Promise<Response> {
  const models = await modelsFor(c);
  const id = c.req.param('id') ?? '';
  const model = models.find((candidate) => candidate.id === id);
  if (model !== undefined) return c.json(modelObject(model));
  // Says why: unknown, draining, or no backend at all.
  routesTo(await readFleet(fleetSource(c)), id);
  throw new TidarError('model_not_found', `There is no model '${id}'.`, { param: 'model' });
}

async function modelsFor(c: Context<AppEnv>): Promise<ModelInfo[]> {
  const config = c.get('config');
  const key = await authenticate(c.req.header('authorization'), config.KEY_SECRETS);
  const [allowed, fleet] = await Promise.all([verifyKey(c.env, key), readFleet(fleetSource(c))]);
  return servedModels(fleet).filter(({ id }) => allowed === null || allowed.includes(id));
}

function modelObject({ id, created, ...model }: ModelInfo): object {
  return {
    id,
    object: 'model',
    created,
    owned_by: 'tidar',
    tidar: {
      context_length: model.context_length,
      block_size: model.block_size,
      draft_length: model.draft_length,
      fingerprint: model.fingerprint,
      ...(model.decoders === undefined ? {} : { decoders: model.decoders }),
      ...(model.tool_format === undefined ? {} : { tool_format: model.tool_format }),
    },
  };
}
