import { execFileSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { DEMO_MODEL } from '../../gpu-backend/src/cli/open-model.ts';
import { BackendProcess } from '../support/backend-process.ts';
import { TEST_SECRETS } from '../support/edge-harness.ts';
import { buildBundle, ServeProcess } from '../support/serve-process.ts';
import { descendantsOf } from '../support/start-process.ts';

const PACED_BACKEND = fileURLToPath(new URL('./paced-backend.ts', import.meta.url));

export interface SystemOptions {
  /** Flags of the backend. */
  readonly backendArgs?: readonly string[];
  /** Milliseconds between tokens, where an engine that only keeps time stands in for the model's. */
  readonly paceMs?: number;
  /** Variables of the edge. */
  readonly vars?: Readonly<Record<string, string>>;
  /** The built Worker; absent: it is built. */
  readonly bundle?: string;
}

/** The real edge in workerd, as `npm run serve` runs it, and one real backend; their state goes with them. */
export class System {
  readonly edge: ServeProcess;
  readonly backend: BackendProcess;
  /** Of the process that runs the Worker. */
  readonly workerdId: number;
  readonly #folder: string;

  private constructor(edge: ServeProcess, backend: BackendProcess, folder: string) {
    this.edge = edge;
    this.backend = backend;
    this.#folder = folder;
    this.workerdId = workerdBelow(edge.child.pid ?? 0);
  }

  static async start({ backendArgs = [], paceMs, vars, bundle }: SystemOptions = {}): Promise<System> {
    const folder = await mkdtemp(join(tmpdir(), 'tidar-load-'));
    const backend = await BackendProcess.start({
      modelPath: DEMO_MODEL,
      leaseSecrets: TEST_SECRETS.LEASE_SECRETS,
      args: backendArgs,
      journal: join(folder, 'journal.sqlite'),
      ...(paceMs === undefined ? {} : { main: PACED_BACKEND, env: { PACE_MS: String(paceMs) } }),
    });
    try {
      const bundlePath = bundle ?? join(folder, 'bundle');
      if (bundle === undefined) buildBundle(bundlePath);
      const edge = await ServeProcess.start({
        stateDir: join(folder, 'state'),
        vars: { BACKENDS: JSON.stringify([{ url: backend.url }]), ...vars },
        args: ['--bundle', bundlePath],
      });
      return new System(edge, backend, folder);
    } catch (error) {
      await backend.stop('SIGKILL');
      throw error;
    }
  }

  /** Both, ended as an operator ends them; their exit codes. */
  async stop(): Promise<{ edge: number | null; backend: number | null }> {
    const edge = await this.edge.stop();
    const backend = await this.backend.stop();
    await rm(this.#folder, { recursive: true, force: true });
    return { edge, backend };
  }
}

function workerdBelow(processId: number): number {
  const found = descendantsOf(processId).find((id) => commandOf(id).includes('workerd'));
  if (found === undefined) throw new Error('there is no workerd below npm run serve');
  return found;
}

const commandOf = (processId: number): string =>
  execFileSync('ps', ['-p', String(processId), '-o', 'comm='], { encoding: 'utf8' }).trim();

/** Memory that a process holds, in MiB. */
export function residentMiB(processId: number): number {
  const kilobytes = execFileSync('ps', ['-p', String(processId), '-o', 'rss='], { encoding: 'utf8' });
  return Number(kilobytes) / 1024;
}
