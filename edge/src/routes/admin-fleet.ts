import type { Context } from 'hono';
import { authenticateAdmin, authorize } from '../auth/authorize.ts';
import type { AppEnv } from '../env.ts';
import { fleetOf } from '../fleet/client.ts';
import type { HeardBackend } from '../fleet/heartbeats.ts';
import type { BackendView } from '../fleet/types.ts';
import { type BackendState, readFleet } from '../relay/fleet.ts';
import { fleetSource } from './fleet-source.ts';

/** `GET /admin/me`: who the token's holder is, and what it may do. */
export async function getMe(c: Context<AppEnv>): Promise<Response> {
  const { name, scopes } = await authenticateAdmin(c);
  return c.json({ object: 'admin', name, scopes });
}

/** `GET /admin/backends`: all that are configured or were heard of in the last minutes. */
export async function getBackends(c: Context<AppEnv>): Promise<Response> {
  await authorize(c, 'fleet:read');
  const [states, heard] = await Promise.all([readFleet(fleetSource(c)), fleetOf(c.env).heard()]);
  const nowMs = Date.now();
  const byAddress = new Map(heard.map((each) => [addressOf(each), each]));
  const known = states.map((state) => viewOf(state, byAddress.get(state.url), nowMs));
  const knownAddresses = new Set(states.map(({ url }) => url));
  const silent = heard
    .filter((each) => !knownAddresses.has(addressOf(each)))
    .map((each) => {
      const { models, load } = each.heartbeat;
      return viewOf({ url: addressOf(each), status: 'silent', models, load }, each, nowMs);
    });
  return c.json({ object: 'list', data: [...known, ...silent] });
}

const addressOf = ({ heartbeat }: HeardBackend): string => heartbeat.address.replace(/\/+$/, '');

function viewOf(
  { url, status, models, load }: Omit<BackendState, 'status'> & Pick<BackendView, 'status'>,
  heard: HeardBackend | undefined,
  nowMs: number,
): BackendView {
  return {
    object: 'backend',
    address: url,
    status,
    models: models.map(({ id, fingerprint, context_length, block_size }) => ({
      id,
      fingerprint,
      context_length,
      block_size,
    })),
    load: load ?? null,
    slot_curve: heard?.slotCurve ?? null,
    heartbeat_age_ms: heard === undefined ? null : Math.max(0, nowMs - heard.receivedAtMs),
  };
}
