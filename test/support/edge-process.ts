import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { anyFreePort } from '../../gpu-backend/src/cli/start/ports.ts';
import { createKey, TEST_SECRETS } from './edge-harness.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const START_LIMIT_MS = 60_000;

export interface EdgeProcessOptions {
  vars: Record<string, string>;
  /** Where the ledgers lie; without it, a folder that goes with the process. */
  stateDir?: string;
}

/** `wrangler dev` as a process group of its own: what is killed here is all of it, workerd included. */
export class EdgeProcess {
  readonly url: string;
  readonly #child: ChildProcess;
  readonly #scratch: string;

  private constructor(url: string, child: ChildProcess, scratch: string) {
    this.url = url;
    this.#child = child;
    this.#scratch = scratch;
  }

  /** Starts it and waits until it answers. */
  static async start({ vars, stateDir }: EdgeProcessOptions): Promise<EdgeProcess> {
    const scratch = await mkdtemp(join(tmpdir(), 'tidar-edge-'));
    const envFile = join(scratch, 'env');
    const lines = Object.entries({ ...TEST_SECRETS, ...vars }).map(([name, value]) => `${name}='${value}'`);
    await writeFile(envFile, lines.join('\n'), { mode: 0o600 });
    const port = await anyFreePort();
    const flags = [
      '--port',
      String(port),
      '--ip',
      '127.0.0.1',
      '--inspector-port',
      '0',
      '--env-file',
      envFile,
    ];
    const state = [
      '--persist-to',
      stateDir ?? join(scratch, 'state'),
      '--show-interactive-dev-session=false',
    ];
    const child = spawn(join(ROOT, 'node_modules/.bin/wrangler'), ['dev', ...flags, ...state], {
      cwd: ROOT,
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        ...process.env,
        PATH: `${join(ROOT, 'node_modules/.bin')}:${process.env.PATH ?? ''}`,
        CLOUDFLARE_CF_FETCH_ENABLED: 'false',
        WRANGLER_LOG_PATH: join(scratch, 'logs'),
      },
    });
    let output = '';
    child.stdout.on('data', (chunk: Buffer) => void (output += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => void (output += chunk.toString()));
    const edge = new EdgeProcess(`http://127.0.0.1:${port}`, child, scratch);
    await edge.#waitUntilUp(() => output);
    return edge;
  }

  createKey(options: object = {}): Promise<string> {
    return createKey(this.url, options);
  }

  /** Ends the whole group; by SIGKILL nothing of it can tidy up. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null && this.#child.pid !== undefined) {
      const exited = once(this.#child, 'exit');
      process.kill(-this.#child.pid, signal);
      await exited;
    }
    await rm(this.#scratch, { recursive: true, force: true });
  }

  async #waitUntilUp(output: () => string): Promise<void> {
    const deadline = performance.now() + START_LIMIT_MS;
    while (performance.now() < deadline && this.#child.exitCode === null) {
      const answer = await fetch(`${this.url}/health`).catch(() => undefined);
      if (answer !== undefined) return;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    await this.stop('SIGKILL');
    throw new Error(`the edge did not start:\n${output()}`);
  }
}
