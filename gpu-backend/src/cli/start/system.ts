import { join } from 'node:path';
import type { ModelInfo } from '@tidar/shared/protocol.ts';
import { modelListSchema } from '@tidar/shared/protocol.ts';
import { fetch } from 'undici';
import { ALLOCATOR_ENVIRONMENT } from '../../device/allocator-environment.ts';
import { Child } from './child.ts';
import type { ChildOptions } from './child.ts';
import { folderArguments } from '../folder-flags.ts';
import { HOST } from './ports.ts';
import { REPOSITORY } from './repository.ts';
import type { StartOptions } from './options.ts';
import type { Secrets, StartState } from './state.ts';
import { WRANGLER_ENVIRONMENT, wranglerScript } from './wrangler.ts';

const POLL_MS = 150;
/** Somebody who pressed Ctrl-C waits for it. */
const DRAIN_SECONDS = 5;

type OnLine = ChildOptions['onLine'];

/** The backend as a process of its own, with the environment that the engine needs from its start. */
export function startBackend(
  options: StartOptions,
  port: number,
  state: StartState,
  secrets: Secrets,
  onLine: OnLine,
): Child {
  const main = join(REPOSITORY, 'gpu-backend/src/server/main.ts');
  const folder = ['--model', options.modelPath, ...folderArguments(options.folderOptions)];

  const flags = [...folder, ...options.deviceArguments, '--host', HOST, '--port', String(port)];
  const journal = join(state.path, 'journal.sqlite');
  return new Child({
    name: 'The backend',
    command: [main, ...flags, '--journal', journal, '--drain-seconds', String(DRAIN_SECONDS)],
    cwd: REPOSITORY,
    env: {
      ...process.env,
      ...ALLOCATOR_ENVIRONMENT,
      BACKEND_INSTANCE: undefined,
      DRAFT_MODEL: options.draftModelPath,
      LEASE_SECRETS: secrets.leaseSecret,
    },
    onLine,
  });
}

export interface EdgeOptions {
  readonly port: number;
  readonly inspectorPort: number;
  readonly backendUrl: string;
}

/** The edge in workerd, under `wrangler dev`, with its ledgers on disk. */
export function startEdge(options: EdgeOptions, state: StartState, secrets: Secrets, onLine: OnLine): Child {
  const envFile = state.writeEnvFile({
    BACKENDS: JSON.stringify([{ url: options.backendUrl }]),
    LEASE_SECRETS: secrets.leaseSecret,
    KEY_SECRETS: secrets.keySecret,
    ADMIN_TOKEN: secrets.adminToken,
  });
  const flags = {
    config: join(REPOSITORY, 'wrangler.toml'),
    'env-file': envFile,
    ip: HOST,
    port: String(options.port),
    'inspector-port': String(options.inspectorPort),
    'persist-to': join(state.path, 'edge'),
    'show-interactive-dev-session': 'false',
  };
  return new Child({
    name: 'The edge',
    command: [wranglerScript(), 'dev', ...Object.entries(flags).map(([name, value]) => `--${name}=${value}`)],
    cwd: REPOSITORY,
    env: { ...process.env, ...WRANGLER_ENVIRONMENT },
    onLine,
  });
}

/** Waits until the model is loaded; gives it. */
export async function whenBackendHealthy(url: string, signal: AbortSignal): Promise<ModelInfo | undefined> {
  await whenHealthy(url, signal);
  const response = await fetch(`${url}/v1/models`, { signal });
  return modelListSchema.parse(await response.json()).models[0];
}

/** Polls until `/health` is well. */
export async function whenHealthy(url: string, signal: AbortSignal): Promise<void> {
  for (;;) {
    signal.throwIfAborted();
    try {
      const response = await fetch(`${url}/health`, {
        signal: AbortSignal.any([signal, AbortSignal.timeout(5000)]),
      });
      await response.body?.cancel();
      if (response.ok) return;
    } catch {
      // Nobody listens yet.
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}
