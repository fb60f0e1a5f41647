import { execFileSync, spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo, Server } from 'node:net';
import { fileURLToPath } from 'node:url';

const START = fileURLToPath(new URL('../../gpu-backend/src/cli/start.ts', import.meta.url));
/** More than npm start allows itself: its own sentence says more. */
const START_LIMIT_MS = 330_000;

export type EdgeRequest = Omit<RequestInit, 'headers'> & { headers?: Record<string, string> };

/** The real `npm start`, as a process of its own. */
export class StartProcess {
  readonly child: ChildProcess;
  /** Of the edge, without /v1. */
  readonly url: string;
  readonly key: string;
  readonly model: string;
  /** The one command that it printed. */
  readonly command: string;
  readonly #output: () => string;

  private constructor(child: ChildProcess, output: () => string) {
    this.child = child;
    this.#output = output;
    const field = (name: string): string =>
      new RegExp(`^ {2}${name} +(\\S+)$`, 'm').exec(output())?.[1] ?? '';
    this.url = field('address').replace(/\/v1$/, '');
    this.key = field('key');
    this.model = field('model');
    this.command =
      output()
        .split('\n')
        .find((line) => line.startsWith('curl ')) ?? '';
  }

  /** Starts it from `cwd` and waits until it has printed its command. */
  static async start(args: readonly string[], cwd: string): Promise<StartProcess> {
    const child = spawn(process.execPath, [START, ...args], { cwd, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    const read = (chunk: Buffer): void => void (output += chunk.toString());
    child.stdout.on('data', read);
    child.stderr.on('data', read);
    const deadline = performance.now() + START_LIMIT_MS;
    while (!/^Ctrl-C ends everything/m.test(output)) {
      if (child.exitCode !== null || performance.now() > deadline) {
        child.kill('SIGKILL');
        throw new Error(`the system did not start:\n${output}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    return new StartProcess(child, () => output);
  }

  get output(): string {
    return this.#output();
  }

  /** Waits for its end; gives its exit code. */
  async ended(): Promise<number | null> {
    if (this.child.exitCode === null && this.child.signalCode === null) await once(this.child, 'exit');
    return this.child.exitCode;
  }

  async stop(signal: NodeJS.Signals = 'SIGINT'): Promise<number | null> {
    this.child.kill(signal);
    return this.ended();
  }

  /** A request to the edge, with the demo key unless the headers name another. */
  fetch(path: string, init: EdgeRequest = {}): Promise<Response> {
    const headers = {
      authorization: `Bearer ${this.key}`,
      'content-type': 'application/json',
      ...init.headers,
    };
    return fetch(this.url + path, { ...init, headers });
  }
}

/** The ids of the processes whose command line holds the text. */
export function processesWith(text: string): number[] {
  const list = execFileSync('ps', ['-A', '-ww', '-o', 'pid=,args='], { encoding: 'utf8' });
  return list
    .split('\n')
    .filter((line) => line.includes(text))
    .map((line) => Number(line.trim().split(' ')[0]))
    .filter((processId) => processId !== process.pid);
}

/** The ids of all that descend from a process. */
export function descendantsOf(processId: number): number[] {
  const list = execFileSync('ps', ['-A', '-o', 'pid=,ppid='], { encoding: 'utf8' });
  const pairs = list
    .trim()
    .split('\n')
    .map((line) => line.trim().split(/\s+/).map(Number));
  const children = (parent: number): number[] =>
    pairs.filter(([, ppid]) => ppid === parent).flatMap(([pid = 0]) => [pid, ...children(pid)]);
  return children(processId);
}

export function isAlive(processId: number): boolean {
  try {
    process.kill(processId, 0);
    return true;
  } catch {
    return false;
  }
}

/** Takes a port; the next one is free as well. */
export async function occupyPort(): Promise<{ port: number; server: Server }> {
  for (;;) {
    const server = await listen(0);
    const { port } = server.address() as AddressInfo;
    const next = await listen(port + 1).catch(() => undefined);
    if (next !== undefined) {
      await close(next);
      return { port, server };
    }
    await close(server);
  }
}

async function listen(port: number): Promise<Server> {
  const server = createServer();
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

const close = (server: Server): Promise<void> => new Promise((resolve) => server.close(() => resolve()));
