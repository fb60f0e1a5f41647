import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { UsageReport } from '../../edge/src/ledger/types.ts';
import { BackendProcess } from '../support/backend-process.ts';
import { createKey, TEST_SECRETS } from '../support/edge-harness.ts';
import { buildBundle, ServeProcess } from '../support/serve-process.ts';
import { descendantsOf } from '../support/start-process.ts';
import { makeTinyChatModel, type TinyChatModel } from '../support/tiny-chat-model.ts';
import { AdminClient } from '../support/admin-client.ts';
import type { Hidden } from './judge.ts';
import { Liar } from './liar.ts';
import { liesByName } from './lies.ts';
import { MemoryWatch } from './memory.ts';
import { type Operation, Surface } from './surface.ts';

/** The limits of the world: short, so that who waits for them does not wait long. */
const BODY_TIMEOUT_MS = 4_000;
export const ALLOWED_ORIGIN = 'https://app.client.test';
const NUM_KEYS = 6;
const KEY_LIMITS = { requests_per_minute: 1_000_000 };
/** Faults of the servers themselves: what went wrong with a bill, and what is no expected error. */
const TROUBLE = /ledger_failed|(Reference|Type|Range)Error|[Uu]ncaught|SQLITE_|unhandled/;
const SETTLE_LIMIT_MS = 60_000;
const PULSE_LIMIT_MS = 45_000;
const VARS = {
  PRICES: JSON.stringify({ '*': { prompt: 3, cached: 1, completion: 7 } }),
  SLICE_TOKENS: '64',
  KEEP_ALIVE_MS: '500',
  CONNECT_TIMEOUT_MS: '5000',
  START_TIMEOUT_MS: '15000',
  GAP_TIMEOUT_MS: '6000',
  FAILOVER_MS: '1000',
  SETTLE_GRACE_MS: '10000',
  LEAVE_GRACE_MS: '1300',
  BODY_TIMEOUT_MS: String(BODY_TIMEOUT_MS),
  CORS_ORIGINS: ALLOWED_ORIGIN,
};
const BACKEND_FLAGS = ['--client-grace-ms', '1000', '--slice-wait-ms', '2000', '--drain-seconds', '1'];

/** The real edge in workerd, a real backend, and one that lies. */
export class FuzzWorld {
  readonly edge: ServeProcess;
  readonly backend: BackendProcess;
  readonly surface: Surface;
  readonly memory: MemoryWatch;
  /** Of the API, all alike. */
  readonly keys: readonly string[];
  readonly admin: AdminClient;
  readonly #liar: Liar;
  readonly #model: TinyChatModel;
  readonly #folder: string;
  readonly #closers: readonly (() => Promise<void>)[];

  private constructor(parts: {
    edge: ServeProcess;
    backend: BackendProcess;
    surface: Surface;
    keys: readonly string[];
    liar: Liar;
    model: TinyChatModel;
    folder: string;
    closers: readonly (() => Promise<void>)[];
  }) {
    const { edge, backend, surface, keys, liar, model, folder, closers } = parts;
    this.edge = edge;
    this.backend = backend;
    this.surface = surface;
    this.keys = keys;
    this.#liar = liar;
    this.#model = model;
    this.#folder = folder;
    this.#closers = closers;
    this.admin = new AdminClient(edge.url);
    const workerd = descendantsOf(edge.child.pid ?? 0).at(-1) ?? 0;
    this.memory = new MemoryWatch(
      new Map([
        ['edge', workerd],
        ['backend', backend.child.pid ?? 0],
      ]),
    );
  }

  static async start(): Promise<FuzzWorld> {
    const folder = await mkdtemp(join(tmpdir(), 'tidar-fuzz-'));
    const model = await makeTinyChatModel();
    const liar = await Liar.start(liesByName);
    const closers = [
      () => liar.close(),
      () => model.remove(),
      () => rm(folder, { recursive: true, force: true }),
    ];
    try {
      const backend = await startBackend(folder, model.path);
      closers.unshift(() => backend.stop('SIGKILL').then(() => undefined));
      const edge = await startEdge(folder, [backend.url, liar.url]);
      closers.unshift(() => edge.stop().then(() => undefined));
      const keys = await Promise.all(Array.from({ length: NUM_KEYS }, () => createKey(edge.url, KEY_LIMITS)));
      await whenServed(edge.url, keys[0] ?? '');
      const surface = await Surface.of(edge.url);
      return new FuzzWorld({ edge, backend, surface, keys, liar, model, folder, closers });
    } catch (error) {
      for (const close of closers) await close();
      throw error;
    }
  }

  urlOf(target: 'edge' | 'backend'): string {
    return target === 'edge' ? this.edge.url : this.backend.url;
  }

  /** What no answer may have in it; an operator may know where the backends are. */
  hidden(target: 'edge' | 'backend', needs: Operation['needs'] = 'key'): Hidden {
    const texts = [...Object.values(TEST_SECRETS), this.#folder, this.#model.path];
    if (target === 'edge' && needs !== 'admin') texts.push(this.#liar.url, this.backend.url);
    return { target, texts };
  }

  /** Whether it still answers; else what is wrong. A busy machine is given time. */
  async pulseOf(target: 'edge' | 'backend'): Promise<string | undefined> {
    const asked = { signal: AbortSignal.timeout(PULSE_LIMIT_MS) };
    try {
      const response = await fetch(`${this.urlOf(target)}/health`, asked);
      await response.body?.cancel();
      return response.status === 200 ? undefined : `/health says ${response.status}`;
    } catch (error) {
      return `/health does not answer: ${String(error)}`;
    }
  }

  /** Holds that are left when all is quiet, by key: none, unless a request was lost. */
  async unsettled(): Promise<string[]> {
    const deadline = performance.now() + SETTLE_LIMIT_MS;
    for (;;) {
      const reports = await Promise.all(this.keys.map((key) => this.#usageOf(key)));
      const open = reports.flatMap(({ key, held_tokens: held, budget, requests }) => {
        const numOpen = requests.filter(({ state }) => state !== 'settled').length;
        const isQuiet = held === 0 && budget.held_tokens === 0 && budget.held_nanos === 0 && numOpen === 0;
        return isQuiet
          ? []
          : [`key ${key.id}: ${held} tokens are held, ${numOpen} of the last requests are open`];
      });
      if (open.length === 0 || performance.now() > deadline) return open;
      await new Promise((resolve) => setTimeout(resolve, 250));
    }
  }

  /** What the servers' own logs tell of faults that no answer showed, each kind once. */
  troubles(): string[] {
    const lines = `${this.edge.output}\n${this.backend.output}`
      .split('\n')
      .filter((line) => TROUBLE.test(line));
    const byKind = new Map(
      lines.map((line) => [/"reason\W+([^"\\]+)/.exec(line)?.[1] ?? line.slice(0, 80), line]),
    );
    return [...byKind.values()].map((line) => `in a log: ${line.slice(0, 600)}`);
  }

  async close(): Promise<void> {
    for (const close of this.#closers) await close();
  }

  async #usageOf(key: string): Promise<UsageReport> {
    const headers = { authorization: `Bearer ${key}` };
    const response = await fetch(`${this.edge.url}/v1/usage?limit=100`, { headers });
    if (!response.ok) throw new Error(`/v1/usage: ${response.status} ${await response.text()}`);
    return (await response.json()) as UsageReport;
  }
}

function startBackend(folder: string, modelPath: string): Promise<BackendProcess> {
  const { LEASE_SECRETS: leaseSecrets } = TEST_SECRETS;
  const journal = join(folder, 'journal.sqlite');
  return BackendProcess.start({ modelPath, leaseSecrets, journal, args: BACKEND_FLAGS });
}

async function startEdge(folder: string, urls: readonly string[]): Promise<ServeProcess> {
  await mkdir(join(folder, 'state'));
  const bundle = buildBundle(join(folder, 'bundle'));
  return ServeProcess.start({
    stateDir: join(folder, 'state'),
    vars: { ...VARS, BACKENDS: JSON.stringify(urls.map((url) => ({ url }))) },
    args: [...bundle, '--drain-seconds', '1'],
  });
}

/** The edge asks its backends how they are now and then: it must have heard of both. */
async function whenServed(edgeUrl: string, key: string): Promise<void> {
  const headers = { authorization: `Bearer ${key}` };
  const deadline = performance.now() + SETTLE_LIMIT_MS;
  while (performance.now() < deadline) {
    const { data } = (await (await fetch(`${edgeUrl}/v1/models`, { headers })).json()) as { data: object[] };
    if (data.length === 2) return;
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
  throw new Error('the edge never saw both backends');
}
