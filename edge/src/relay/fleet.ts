import { TidarError } from '@tidar/shared/errors.ts';
import {
  healthSchema,
  type ModelInfo,
  modelListSchema,
  PROTOCOL_VERSION,
  protocolVersionSchema,
} from '@tidar/shared/protocol.ts';

/** A backend as it last answered. */
export interface BackendState {
  url: string;
  /** Incompatible: it speaks another version of the protocol, and is asked for nothing. */
  status: 'ok' | 'draining' | 'unreachable' | 'incompatible';
  models: ModelInfo[];
}

const CACHE_MS = 2_000;
const PROBE_TIMEOUT_MS = 2_000;

/** What each backend last said, for when it is too busy to say it again. */
const lastAnswers = new Map<string, BackendState>();
let cache: { key: string; readAtMs: number; states: BackendState[] } | undefined;

/** The configured backends; at most 2 s old, kept by the isolate. */
export async function readFleet(backends: readonly { url: string }[]): Promise<BackendState[]> {
  const key = backends.map(({ url }) => url).join(' ');
  if (cache?.key === key && Date.now() - cache.readAtMs < CACHE_MS) return cache.states;
  const states = await Promise.all(backends.map(({ url }) => probe(url)));
  cache = { key, readAtMs: Date.now(), states };
  return states;
}

/** Forgets what was read: a backend was just found to be otherwise. */
export function forgetFleet(): void {
  cache = undefined;
}

/** Every model that some healthy backend serves, each once. */
export function servedModels(fleet: readonly BackendState[]): ModelInfo[] {
  const healthy = fleet.filter(({ status }) => status === 'ok').flatMap(({ models }) => models);
  return [...new Map(healthy.map((model) => [model.id, model])).values()];
}

/** A healthy backend that serves the model: the first of the list. */
export function findBackend(
  fleet: readonly BackendState[],
  modelId: string,
): { backend: BackendState; model: ModelInfo } {
  const served = fleet.flatMap((backend) =>
    backend.models.filter(({ id }) => id === modelId).map((model) => ({ backend, model })),
  );
  const found = served.find(({ backend }) => backend.status === 'ok');
  if (found !== undefined) return found;
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

async function probe(url: string): Promise<BackendState> {
  try {
    const [health, list] = await Promise.all([read(`${url}/health`), read(`${url}/v1/models`)]);
    const { protocol_version: version } = protocolVersionSchema.parse(list);
    if (version !== PROTOCOL_VERSION) return incompatible(url, version);
    const { models } = modelListSchema.parse(list);
    const state: BackendState = { url, status: healthSchema.parse(health).status, models };
    lastAnswers.set(url, state);
    return state;
  } catch (error) {
    console.warn(JSON.stringify({ event: 'backend_unreachable', url, reason: String(error) }));
    const isSlow = error instanceof DOMException && error.name === 'TimeoutError';
    // A busy backend is not a dead one: whoever asks it for an answer will see.
    const last = isSlow ? lastAnswers.get(url) : undefined;
    return last ?? { url, status: 'unreachable', models: [] };
  }
}

function incompatible(url: string, version: number): BackendState {
  const event = { event: 'backend_incompatible', url, protocol: version, expected: PROTOCOL_VERSION };
  console.warn(JSON.stringify(event));
  return { url, status: 'incompatible', models: [] };
}

async function read(url: string): Promise<unknown> {
  const response = await fetch(url, { signal: AbortSignal.timeout(PROBE_TIMEOUT_MS) });
  // A draining backend may answer /health with 503: its body says what it is.
  return response.json();
}
