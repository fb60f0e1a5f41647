import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { anyFreePort } from '../../gpu-backend/src/cli/start/ports.ts';
import { createKey, TEST_SECRETS } from './edge-harness.ts';
import { descendantsOf, isAlive } from './start-process.ts';

const SERVE = fileURLToPath(new URL('../../scripts/serve.ts', import.meta.url));
const START_LIMIT_MS = 180_000;
const BUNDLER = fileURLToPath(new URL('../../edge/deploy/bundle.ts', import.meta.url));

export interface ServeProcessOptions {
  readonly stateDir: string;
  readonly vars?: Readonly<Record<string, string>>;
  readonly args?: readonly string[];
}

/** The real `npm run serve`, as a process of its own. */
export class ServeProcess {
  readonly url: string;
  readonly child: ChildProcess;
  readonly #output: () => string;

  private constructor(url: string, child: ChildProcess, output: () => string) {
    this.url = url;
    this.child = child;
    this.#output = output;
  }

  /** Starts it and waits until it says that it listens. */
  static async start({ stateDir, vars = {}, args = [] }: ServeProcessOptions): Promise<ServeProcess> {
    const port = await anyFreePort();
    const flags = ['--state', stateDir, '--port', String(port), ...args];
    const { child, output } = spawnServe(flags, { ...TEST_SECRETS, ...vars });
    const deadline = performance.now() + START_LIMIT_MS;
    while (!/^listening /m.test(output())) {
      if (child.exitCode !== null || performance.now() > deadline) {
        child.kill('SIGKILL');
        throw new Error(`the edge did not start:\n${output()}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    return new ServeProcess(`http://127.0.0.1:${port}`, child, output);
  }

  get output(): string {
    return this.#output();
  }

  createKey(options: object = {}): Promise<string> {
    return createKey(this.url, options);
  }

  /** Kills it and all that it started, at once: nothing can tidy up. */
  async killAll(): Promise<void> {
    const all = [this.child.pid ?? 0, ...descendantsOf(this.child.pid ?? 0)];
    for (const processId of all) process.kill(processId, 'SIGKILL');
    await waitUntilDead(all);
  }

  /** Signals it; gives its exit code. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    this.child.kill(signal);
    return endOf(this.child);
  }
}

/** Builds the Worker into a folder; the flags that have it served. */
export function buildBundle(folder: string): string[] {
  execFileSync(process.execPath, [BUNDLER, folder]);
  return ['--bundle', folder];
}

/** Runs it with these variables and none of the tests' own; to its end. */
export async function runServe(
  args: readonly string[],
  vars: Readonly<Record<string, string>> = {},
): Promise<{ code: number | null; output: string }> {
  const { child, output } = spawnServe(args, vars);
  return { code: await endOf(child), output: output() };
}

export async function waitUntilDead(processIds: readonly number[]): Promise<void> {
  const deadline = performance.now() + START_LIMIT_MS;
  while (processIds.some(isAlive)) {
    if (performance.now() > deadline) throw new Error(`still alive: ${processIds.filter(isAlive).join()}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

function spawnServe(args: readonly string[], vars: Readonly<Record<string, string>>) {
  const child = spawn(process.execPath, [SERVE, ...args], {
    env: { PATH: process.env.PATH, ...vars },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  const read = (chunk: Buffer): void => void (output += chunk.toString());
  child.stdout.on('data', read);
  child.stderr.on('data', read);
  return { child, output: () => output };
}

async function endOf(child: ChildProcess): Promise<number | null> {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  return child.exitCode;
}
