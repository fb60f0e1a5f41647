import { errorBodySchema, TidarError } from '@tidar/shared/errors.ts';
import type { Heartbeat } from '@tidar/shared/heartbeat.ts';
import {
  healthSchema,
  type ModelInfo,
  modelListSchema,
  PROTOCOL_VERSION,
  protocolVersionSchema,
} from '@tidar/shared/protocol.ts';
import type { Bindings, EdgeConfig } from '../env.ts';
import { fleetOf } from '../fleet/client.ts';
import type { BackendWord } from '../fleet/heartbeats.ts';
import { jsonOf } from './bounded-body.ts';
import type { Log } from '../log.ts';

/** A backend as it last answered. */
export interface BackendState {
  url: string;
  /** Incompatible: it speaks another version of the protocol, and is asked for nothing. */
  status: 'ok' | 'draining' | 'unreachable' | 'incompatible';
  models: ModelInfo[];
  /** As its heartbeat said; absent: it sends none. */
  load?: Heartbeat['load'] | undefined;
}

const CACHE_MS = 2_000;
/** What is older is read again beside the request that finds it so, which does not wait. */
const REFRESH_MS = 1_000;
const PROBE_TIMEOUT_MS = 2_000;
const MAX_PROBE_BYTES = 1024 * 1024;

/** What each backend last said, for when it is too busy to say it again. */
const lastAnswers = new Map<string, BackendState>();
let cache: { key: string; readAtMs: number; states: BackendState[] } | undefined;
let lastRefreshMs = -Infinity;

/** What the fleet is read from. */
export interface FleetSource {
  config: Pick<EdgeConfig, 'BACKENDS'>;
  env: Pick<Bindings, 'FLEET'>;
  log: Log;
  /** Keeps work going that its request does not wait for. */
  waitUntil: (work: Promise<unknown>) => void;
}

/**
 * The configured backends and those that say by heartbeats that they live; at most 2 s old, kept by the isolate. Who
 * does both is known by its heartbeats.
 */
export async function readFleet(source: FleetSource): Promise<BackendState[]> {
  const nowMs = Date.now();
  if (cache?.key !== keyOf(source) || nowMs - cache.readAtMs >= CACHE_MS) return readNow(source);
  // Another request's refresh cannot be waited for, and may end with its request.
  if (nowMs - Math.max(cache.readAtMs, lastRefreshMs) >= REFRESH_MS) {
    lastRefreshMs = nowMs;
    source.waitUntil(readNow(source));
  }
  return cache.states;
}

const keyOf = ({ config }: FleetSource): string => config.BACKENDS.map(({ url }) => url).join(' ');

async function readNow(source: FleetSource): Promise<BackendState[]> {
  const { config, log } = source;
  const before = cache;
  const beating = (await heartbeats(source)).map((word) => stateOf(word, log));
  const beatingUrls = new Set(beating.map(({ url }) => url));
  const silent = config.BACKENDS.filter(({ url }) => !beatingUrls.has(url));
  const states = [...(await Promise.all(silent.map(({ url }) => probe(url, log)))), ...beating];
  // What was forgotten meanwhile was found to be wrong: this may be as old.
  if (before === undefined || cache !== undefined)
    cache = { key: keyOf(source), readAtMs: Date.now(), states };
  return states;
}

/** Forgets what was read: a backend was just found to be otherwise. */
export function forgetFleet(): void {
  cache = undefined;
}

/** Without the fleet's object the configured backends still serve. */
async function heartbeats({ env, log }: FleetSource): Promise<BackendWord[]> {
  try {
    return await fleetOf(env).backends();
  } catch (error) {
    log('error', 'fleet_unreachable', { reason: String(error) });
    return [];
  }
}

function stateOf(word: BackendWord, log: Log): BackendState {
  const { address, protocol_version: version, models, load, draining } = word;
  const url = address.replace(/\/+$/, '');
  if (version !== PROTOCOL_VERSION) return incompatible(url, version, log);
  return { url, status: draining ? 'draining' : 'ok', models, load };
}

/** Every model that some healthy backend serves, each once. */
export function servedModels(fleet: readonly BackendState[]): ModelInfo[] {
  const healthy = fleet.filter(({ status }) => status === 'ok').flatMap(({ models }) => models);
  const byId = new Map<string, ModelInfo>();
  for (const model of healthy) byId.set(model.id, withCommonDecoders(model, byId.get(model.id)));
  return [...byId.values()];
}

/** What one of its backends cannot do, a request may be refused. */
function withCommonDecoders(model: ModelInfo, other: ModelInfo | undefined): ModelInfo {
  const { decoders } = model;
  if (decoders === undefined || other?.decoders === undefined) return model;
  return { ...model, decoders: decoders.filter((decoder) => other.decoders?.includes(decoder)) };
}

export interface Route {
  backend: BackendState;
  model: ModelInfo;
}

/** The backends that take requests for a model; if there are none, the error that says why. */
export function routesTo(fleet: readonly BackendState[], modelId: string): Route[] {
  const served = fleet.flatMap((backend) =>
    backend.models.filter(({ id }) => id === modelId).map((model) => ({ backend, model })),
  );
  const found = served.filter(({ backend }) => backend.status === 'ok');
  if (found.length > 0) return found;
  if (served.length > 0) {
    const message = `Every backend of '${modelId}' is shutting down. Try again soon.`;
    throw new TidarError('shutting_down', message, { retryAfterMs: CACHE_MS });
  }
  if (fleet.every(({ status }) => status === 'unreachable' || status === 'incompatible')) {
    const message = 'No backend can be reached at the moment. Try again soon.';
    throw new TidarError('overloaded', message, { retryAfterMs: CACHE_MS });
  }
  const known = servedModels(fleet).map(({ id }) => `'${id}'`);
  const message = `There is no model '${modelId}'. Models here: ${known.join(', ') || 'none'}.`;
  throw new TidarError('model_not_found', message, { param: 'model' });
}

async function probe(url: string, log: Log): Promise<BackendState> {
  try {
    const [health, list] = await Promise.all([read(`${url}/health`), read(`${url}/v1/models`)]);
    // While its model is loaded it says only that: an error object, without its version.
    if (errorBodySchema.safeParse(list).success) throw new Error('it is not ready');
    const { protocol_version: version } = protocolVersionSchema.parse(list);
    if (version !== PROTOCOL_VERSION) return incompatible(url, version, log);
    const { models } = modelListSchema.parse(list);
    const state: BackendState = { url, status: healthSchema.parse(health).status, models };
    lastAnswers.set(url, state);
    return state;
  } catch (error) {
    log('warn', 'backend_unreachable', { url, reason: String(error) });
    const isSlow = error instanceof DOMException && error.name === 'TimeoutError';
    // A busy backend is not a dead one: whoever asks it for an answer will see.
    const last = isSlow ? lastAnswers.get(url) : undefined;
    return last ?? { url, status: 'unreachable', models: [] };
  }
}

function incompatible(url: string, version: number, log: Log): BackendState {
  log('warn', 'backend_incompatible', { url, protocol: version, expected: PROTOCOL_VERSION });
  return { url, status: 'incompatible', models: [] };
}

async function read(url: string): Promise<unknown> {
  const response = await fetch(url, { redirect: 'manual', signal: AbortSignal.timeout(PROBE_TIMEOUT_MS) });
  // A draining backend may answer /health with 503: its body says what it is.
  return jsonOf(response, MAX_PROBE_BYTES);
}
