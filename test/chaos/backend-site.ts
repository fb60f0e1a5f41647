import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { anyFreePort } from '../../gpu-backend/src/cli/start/ports.ts';
import { BackendProcess } from '../support/backend-process.ts';
import { TEST_SECRETS } from '../support/edge-harness.ts';
import { Wire } from './wire.ts';

const SHIFTED_CLOCK = fileURLToPath(new URL('./shifted-clock.ts', import.meta.url));
export const CLIENT_GRACE_MS = 5_000;
const FLAGS = [
  '--client-grace-ms',
  String(CLIENT_GRACE_MS),
  '--slice-wait-ms',
  '6000',
  '--drain-seconds',
  '1',
];

/** An instance behind its wire: the same address, journal and clock over all its processes. */
export class BackendSite {
  readonly name: string;
  readonly wire: Wire;
  readonly #folder: string;
  readonly #modelPath: string;
  readonly #port: number;
  #process: BackendProcess | undefined;
  #starting: Promise<void> | undefined;
  #clockMs = 0;
  #ending: Promise<unknown> = Promise.resolve();
  #isClosed = false;

  private constructor(name: string, wire: Wire, folder: string, modelPath: string, port: number) {
    this.name = name;
    this.wire = wire;
    this.#folder = folder;
    this.#modelPath = modelPath;
    this.#port = port;
  }

  static async start(name: string, folder: string, modelPath: string): Promise<BackendSite> {
    const port = await anyFreePort();
    const wire = await Wire.start(`http://127.0.0.1:${port}`);
    const site = new BackendSite(name, wire, folder, modelPath, port);
    site.setClock(0);
    await site.up();
    return site;
  }

  /** Undefined while it is down. */
  get process(): BackendProcess | undefined {
    return this.#process;
  }

  get fingerprint(): string {
    return this.#process?.model.fingerprint ?? '';
  }

  /** Starts it where it does not run. */
  async up(): Promise<void> {
    this.#starting ??= this.#start().finally(() => (this.#starting = undefined));
    await this.#starting;
  }

  async #start(): Promise<void> {
    await this.#ending;
    if (this.#isClosed || (this.#process !== undefined && isRunning(this.#process))) return;
    this.#process = await BackendProcess.start({
      modelPath: this.#modelPath,
      leaseSecrets: TEST_SECRETS.LEASE_SECRETS,
      journal: this.#journal,
      port: this.#port,
      args: ['--instance', this.wire.url, ...FLAGS],
      env: { NODE_OPTIONS: `--import=${SHIFTED_CLOCK}`, CHAOS_CLOCK: this.#clockPath },
    });
  }

  /** Ends it, and gives the id of the process that must be gone now. */
  async down(signal: 'SIGKILL' | 'SIGTERM'): Promise<number | undefined> {
    await this.#starting?.catch(() => undefined);
    const process = this.#process;
    this.#process = undefined;
    if (process === undefined) return undefined;
    this.#ending = process.stop(signal);
    await this.#ending;
    return process.child.pid;
  }

  /** Only while it is down. */
  loseJournal(): void {
    for (const suffix of ['', '-wal', '-shm']) rmSync(`${this.#journal}${suffix}`, { force: true });
  }

  setClock(offsetMs: number): void {
    this.#clockMs = offsetMs;
    writeFileSync(this.#clockPath, String(offsetMs));
  }

  moveClock(byMs: number): void {
    this.setClock(this.#clockMs + byMs);
  }

  get clockMs(): number {
    return this.#clockMs;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.down('SIGKILL');
    await this.wire.close();
  }

  get #journal(): string {
    return join(this.#folder, `${this.name}.sqlite`);
  }

  get #clockPath(): string {
    return join(this.#folder, `${this.name}.clock`);
  }
}

const isRunning = ({ child }: BackendProcess): boolean =>
  child.exitCode === null && child.signalCode === null;
