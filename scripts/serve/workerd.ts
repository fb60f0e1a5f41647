import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { TidarError } from '@tidar/shared/errors.ts';
import { readDescription } from '../../edge/deploy/worker-files.ts';
import type { WorkerDescription } from '../../edge/deploy/worker-files.ts';
import { workerdConfig } from '../../edge/deploy/workerd-config.ts';
import { Child } from '../../gpu-backend/src/cli/start/child.ts';
import { REPOSITORY } from '../../gpu-backend/src/cli/start/repository.ts';
import { wranglerPackage } from '../../gpu-backend/src/cli/start/wrangler.ts';
import { unwrapped } from './log-lines.ts';
import type { EdgeVariables, ServeOptions } from './options.ts';

/** What of the caller's environment workerd may see beside the edge's variables. */
const PASSED_ON = ['PATH', 'TZ', 'TMPDIR', 'SSL_CERT_FILE', 'SSL_CERT_DIR'];

/** Where the lock of a state folder is. */
export const lockPathOf = (statePath: string): string => join(statePath, 'lock.sqlite');

/** Puts the Worker's files into the state folder, where workerd's configuration finds them. */
export function prepareWorker({ statePath, bundlePath }: ServeOptions): WorkerDescription {
  const folder = workerFolder(statePath);
  if (bundlePath === undefined) runBundler(folder);
  else cpSync(bundlePath, folder, { recursive: true });
  return readDescription(folder);
}

/** workerd as wrangler brings it, with the environment that its bindings come from and nothing else of ours. */
export function startWorkerd(
  options: ServeOptions,
  worker: WorkerDescription,
  variables: EdgeVariables,
): Child {
  const { host, port, statePath } = options;
  const storagePath = join(statePath, 'do');
  mkdirSync(storagePath, { recursive: true, mode: 0o700 });
  const workerPath = workerFolder(statePath);
  const configPath = join(workerPath, 'config.capnp');
  const settings = { host, port, workerPath, storagePath, variables: Object.keys(variables) };
  writeFileSync(configPath, workerdConfig(worker, settings), { mode: 0o600 });
  return new Child({
    name: 'workerd',
    program: workerdPath(),
    command: ['serve', configPath],
    lockPath: lockPathOf(statePath),
    cwd: statePath,
    env: { ...Object.fromEntries(PASSED_ON.map((name) => [name, process.env[name]])), ...variables },
    onLine: (line, stream) => void process[stream].write(`${unwrapped(line)}\n`),
  });
}

const workerFolder = (statePath: string): string => join(statePath, 'worker');

/** In a process of its own: what it needs to build is not to stay in memory. */
function runBundler(folder: string): void {
  const script = join(REPOSITORY, 'edge/deploy/bundle.ts');
  const { status, stderr } = spawnSync(process.execPath, [script, folder], { encoding: 'utf8' });
  if (status === 0) return;
  throw new TidarError('internal', 'The Worker could not be built.', { internal: stderr.trim() });
}

function workerdPath(): string {
  const module: unknown = createRequire(wranglerPackage())('workerd');
  if (
    typeof module === 'object' &&
    module !== null &&
    'default' in module &&
    typeof module.default === 'string'
  )
    return module.default;
  throw new TidarError('internal', 'There is no workerd for this machine.');
}
