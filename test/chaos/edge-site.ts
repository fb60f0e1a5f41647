import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { ServeProcess, waitUntilDead } from '../support/serve-process.ts';
import { descendantsOf } from '../support/start-process.ts';
import { CLOCK_PATH, readModule, shiftWorkerClock } from './shifted-worker.ts';

export type EdgeDeath = 'workerd' | 'parent' | 'all' | 'stop';

/** `npm run serve` with its state on disk, over all its processes. */
export class EdgeSite {
  readonly #folder: string;
  readonly #vars: Readonly<Record<string, string>>;
  readonly #original: string;
  readonly #onMoved: (url: string) => void;
  #process: ServeProcess | undefined;
  #starting: Promise<void> | undefined;
  #clockMs = 0;
  #ending: Promise<unknown> = Promise.resolve();
  #isClosed = false;

  private constructor(
    folder: string,
    vars: Readonly<Record<string, string>>,
    onMoved: (url: string) => void,
  ) {
    this.#folder = folder;
    this.#vars = vars;
    this.#original = readModule(join(folder, 'bundle'));
    this.#onMoved = onMoved;
  }

  /** `bundle`: the Worker as edge/deploy/bundle.ts wrote it. */
  static async start(
    folder: string,
    bundle: string,
    vars: Readonly<Record<string, string>>,
    onMoved: (url: string) => void,
  ): Promise<EdgeSite> {
    cpSync(bundle, join(folder, 'bundle'), { recursive: true });
    const site = new EdgeSite(folder, vars, onMoved);
    await site.up();
    return site;
  }

  /** Undefined while it is down. */
  get process(): ServeProcess | undefined {
    return this.#process;
  }

  get url(): string {
    return this.#process?.url ?? 'http://127.0.0.1:1';
  }

  get clockMs(): number {
    return this.#clockMs;
  }

  async up(): Promise<void> {
    this.#starting ??= this.#start().finally(() => (this.#starting = undefined));
    await this.#starting;
  }

  async #start(): Promise<void> {
    await this.#ending;
    if (this.#isClosed || this.#process !== undefined) return;
    const bundle = join(this.#folder, 'bundle');
    shiftWorkerClock(bundle, this.#original, this.#clockMs);
    this.#process = await ServeProcess.start({
      stateDir: join(this.#folder, 'state'),
      vars: this.#vars,
      args: ['--bundle', bundle, '--drain-seconds', '1'],
    });
    this.#onMoved(this.#process.url);
  }

  /** Ends it that way; gives the ids of the processes that are gone now. */
  async down(how: EdgeDeath): Promise<number[]> {
    await this.#starting?.catch(() => undefined);
    const process = this.#process;
    this.#process = undefined;
    const root = process?.child.pid;
    if (process === undefined || root === undefined) return [];
    const all = [root, ...descendantsOf(root)];
    this.#ending = end(process, how, all);
    await this.#ending;
    return all;
  }

  /** Jumps at once where it runs, and is so from the start where it does not. */
  async moveClock(byMs: number): Promise<void> {
    this.#clockMs += byMs;
    if (this.#process === undefined) return;
    const response = await fetch(`${this.url}${CLOCK_PATH}?ms=${this.#clockMs}`).catch(() => undefined);
    await response?.body?.cancel();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.down('all');
  }
}

async function end(process: ServeProcess, how: EdgeDeath, all: readonly number[]): Promise<void> {
  if (how === 'workerd') kill(all.at(-1) ?? 0);
  if (how === 'parent') kill(all[0] ?? 0);
  if (how === 'all') await process.killAll();
  if (how === 'stop') await process.stop();
  await waitUntilDead(all);
}

function kill(processId: number): void {
  try {
    process.kill(processId, 'SIGKILL');
  } catch {
    // It was quicker.
  }
}
