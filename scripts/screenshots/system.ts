import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { DEMO_MODEL } from '../../gpu-backend/src/cli/open-model.ts';
import { REPOSITORY } from '../../gpu-backend/src/cli/start/repository.ts';
import { CLOCK_PATH, readModule, shiftWorkerClock } from '../../test/chaos/shifted-worker.ts';
import { AdminClient } from '../../test/support/admin-client.ts';
import { BackendProcess } from '../../test/support/backend-process.ts';
import { ADMIN_TOKEN, TEST_SECRETS } from '../../test/support/edge-harness.ts';
import { RawClient } from '../../test/support/openai-http.ts';
import { ServeProcess } from '../../test/support/serve-process.ts';
import { TcpProxy } from '../../test/support/tcp-proxy.ts';
import { QUESTIONS } from './questions.ts';
import type { Stage } from './shot.ts';

const SHIFTED_CLOCK = fileURLToPath(new URL('../../test/chaos/shifted-clock.ts', import.meta.url));
const DAY_MS = 86_400_000;
const DAYS = 29;
const PRICES = { '*': { prompt: 150, cached: 75, completion: 600 } };

/** Keys as a small team would have them, and how many questions each asks on a day of so many. */
const KEYS = [
  { settings: { name: 'website', tokens_per_minute: 200_000, concurrent_streams: 16 }, each: 1 },
  { settings: { name: 'nightly evaluation', budget_nanos: 5_000_000, budget_refill: 'monthly' }, each: 2 },
  { settings: { name: 'ann', models: ['demo'], budget_tokens: 20_000, budget_refill: 'daily' }, each: 3 },
] as const;

/**
 * The real edge and a real backend with the demo model behind a wire that can be held, after a month of work: both
 * clocks stand a month back at first, and move on by a day at a time.
 */
export class System implements Stage {
  readonly edge: ServeProcess;
  readonly wire: TcpProxy;
  readonly admin: AdminClient;
  readonly adminToken: string = ADMIN_TOKEN;
  #keys: { id: string; key: string; each: number }[] = [];
  readonly #backend: BackendProcess;
  readonly #clockPath: string;

  private constructor(edge: ServeProcess, wire: TcpProxy, backend: BackendProcess, clockPath: string) {
    this.edge = edge;
    this.wire = wire;
    this.admin = new AdminClient(edge.url);
    this.#backend = backend;
    this.#clockPath = clockPath;
  }

  static async start(folder: string): Promise<System> {
    const bundle = join(folder, 'bundle');
    const script = join(REPOSITORY, 'edge/deploy/bundle.ts');
    const built = spawnSync(process.execPath, [script, bundle], { encoding: 'utf8' });
    if (built.status !== 0) throw new Error(built.stderr);
    shiftWorkerClock(bundle, readModule(bundle), -DAYS * DAY_MS);
    const clockPath = join(folder, 'clock');
    writeFileSync(clockPath, String(-DAYS * DAY_MS));
    const edge = await ServeProcess.start({
      stateDir: join(folder, 'state'),
      vars: { PRICES: JSON.stringify(PRICES) },
      args: ['--bundle', bundle, '--drain-seconds', '1'],
    });
    // Its address leads over the wire, which has to know the backend's own first.
    const backend = await BackendProcess.start({
      modelPath: DEMO_MODEL,
      leaseSecrets: TEST_SECRETS.LEASE_SECRETS,
      journal: join(folder, 'journal.sqlite'),
      args: ['--edge', edge.url],
      env: { NODE_OPTIONS: `--import=${SHIFTED_CLOCK}`, CHAOS_CLOCK: clockPath },
    });
    return new System(edge, await TcpProxy.start(edge.url), backend, clockPath);
  }

  /** The key that a picture's chat uses. */
  get key(): string {
    return this.#keys[0]?.key ?? '';
  }

  get keyId(): string {
    return this.#keys[2]?.id ?? '';
  }

  /** A month, in which every key asks some real questions a day. */
  async live(): Promise<void> {
    await this.#whenServing();
    for (const { settings, each } of KEYS) {
      const { body } = await this.admin.post<{ id: string; key: string }>('/keys', settings);
      this.#keys.push({ ...body, each });
    }
    for (let day = DAYS; day >= 0; day -= 1) {
      await this.#setClock(-day * DAY_MS);
      for (const { key, each } of this.#keys) {
        for (let turn = 0; turn < 1 + ((day * 5 + each * 3) % (2 + each * 2)); turn += 1)
          await this.ask(key, turn);
      }
    }
    await this.#whenBilled();
  }

  async ask(key: string, turn: number): Promise<void> {
    const content = QUESTIONS[turn % QUESTIONS.length] ?? '';
    const body = { model: 'demo', temperature: 0, messages: [{ role: 'user', content }] };
    const response = await new RawClient(this.edge.url, key).post(body);
    if (!response.ok) throw new Error(await response.text());
    await response.text();
  }

  /** Several texts at once, so that the backend has something to tell of passes that are shared. */
  async askTogether(count: number): Promise<void> {
    await Promise.all(Array.from({ length: count }, (_, turn) => this.ask(this.key, turn)));
  }

  async close(): Promise<void> {
    await this.wire.close();
    await this.edge.stop();
    await this.#backend.stop();
  }

  async #setClock(offsetMs: number): Promise<void> {
    writeFileSync(this.#clockPath, String(offsetMs));
    await fetch(`${this.edge.url}${CLOCK_PATH}?ms=${offsetMs}`);
    // The backend reads its clock now and then, and says by its next heartbeat that it is there.
    await pause(300);
    await this.#whenServing();
  }

  async #whenServing(): Promise<void> {
    await until(async () => (await fetch(`${this.edge.url}/health`)).ok);
  }

  async #whenBilled(): Promise<void> {
    await until(async () => {
      const { body } = await this.admin.get<{ data: { day: string }[] }>('/usage?group=day');
      return body.data[0]?.day === new Date().toISOString().slice(0, 10);
    });
  }
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

async function until(isSo: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 60_000;
  while (!(await isSo().catch(() => false))) {
    if (performance.now() > deadline) throw new Error('the system never became ready');
    await pause(200);
  }
}
