import type { Context } from 'hono';
import type { AppEnv } from '../env.ts';
import type { FleetSource } from '../relay/fleet.ts';

/** The fleet as a request reads it. */
export const fleetSource = (c: Context<AppEnv>): FleetSource => ({
  config: c.get('config'),
  env: c.env,
  log: c.get('log'),
  waitUntil: (work) => c.executionCtx.waitUntil(work),
});
