import { mkdirSync } from 'node:fs';
import { descendantsOf, isAlive } from '../support/start-process.ts';
import { BackendSite, CLIENT_GRACE_MS } from './backend-site.ts';
import { EdgeSite } from './edge-site.ts';
import type { Site } from './plan.ts';
import { Wire } from './wire.ts';

export const SLICE_TOKENS = 16;
const PRICES = { '*': { prompt: 3, cached: 1, completion: 7 } };

export interface WorldOptions {
  folder: string;
  modelPath: string;
  /** The built Worker. */
  bundle: string;
}

/** The whole system as real processes, its state on disk: kept over rounds, and only started again where it was ended. */
export class World {
  readonly sites: Readonly<Record<Site, BackendSite>>;
  readonly edge: EdgeSite;
  /** Wires of the present round's clients, and whether a late duplicate of what they said is allowed. */
  readonly clientWires: { wire: Wire; mayRepeat: boolean }[];
  /** Processes that were ended on purpose. */
  readonly #ended = new Set<number>();

  private constructor(sites: Record<Site, BackendSite>, edge: EdgeSite, clientWires: World['clientWires']) {
    this.sites = sites;
    this.edge = edge;
    this.clientWires = clientWires;
  }

  static async start({ folder, modelPath, bundle }: WorldOptions): Promise<World> {
    mkdirSync(folder, { recursive: true });
    const [a, b] = await Promise.all([
      BackendSite.start('a', folder, modelPath),
      BackendSite.start('b', folder, modelPath),
    ]);
    const vars = {
      BACKENDS: JSON.stringify([{ url: a.wire.url }, { url: b.wire.url }]),
      PRICES: JSON.stringify(PRICES),
      SLICE_TOKENS: String(SLICE_TOKENS),
      KEEP_ALIVE_MS: '500',
      CONNECT_TIMEOUT_MS: '4000',
      START_TIMEOUT_MS: '30000',
      GAP_TIMEOUT_MS: '12000',
      FAILOVER_MS: '15000',
      SETTLE_GRACE_MS: '15000',
      LEAVE_GRACE_MS: String(CLIENT_GRACE_MS + 300),
    };
    const clientWires: World['clientWires'] = [];
    const onMoved = (url: string): void => clientWires.forEach(({ wire }) => wire.leadTo(url));
    const edge = await EdgeSite.start(folder, bundle, vars, onMoved);
    return new World({ a, b }, edge, clientWires);
  }

  get backends(): BackendSite[] {
    return [this.sites.a, this.sites.b];
  }

  /** A client's own way to the edge. */
  async addClientWire(mayRepeat: boolean): Promise<Wire> {
    const wire = await Wire.start(this.edge.url);
    this.clientWires.push({ wire, mayRepeat });
    return wire;
  }

  async closeClientWires(): Promise<void> {
    await Promise.all(this.clientWires.splice(0).map(({ wire }) => wire.close()));
  }

  remember(ended: readonly (number | undefined)[]): void {
    for (const processId of ended) if (processId !== undefined) this.#ended.add(processId);
  }

  /** Everything runs and every wire is whole, but for those that are to stay away. */
  async restore(absent: ReadonlySet<Site> = new Set()): Promise<void> {
    for (const { wire } of this.backends) wire.heal();
    const present = (Object.keys(this.sites) as Site[]).filter((name) => !absent.has(name));
    await Promise.all([this.edge.up(), ...present.map((name) => this.sites[name].up())]);
  }

  /** So much time goes by for all of them: their clocks stay as far apart as they are. */
  async passTime(byMs: number): Promise<void> {
    for (const site of this.backends) site.moveClock(byMs);
    await this.edge.moveClock(byMs);
  }

  /** All clocks go forward to the furthest, as one that is set by another. */
  async alignClocks(): Promise<void> {
    const furthestMs = Math.max(this.edge.clockMs, ...this.backends.map(({ clockMs }) => clockMs));
    for (const site of this.backends) site.setClock(furthestMs);
    await this.edge.moveClock(furthestMs - this.edge.clockMs);
  }

  strayProcesses(): string[] {
    const alive = [...this.#ended].filter(isAlive).map((id) => `process ${id} should be dead`);
    this.#ended.clear();
    const edge = this.edge.process?.child.pid;
    const numBelowEdge = edge === undefined ? 0 : descendantsOf(edge).length;
    // The guard and workerd.
    return numBelowEdge === 2 ? alive : [...alive, `the edge has ${numBelowEdge} processes, not 2`];
  }

  async close(): Promise<void> {
    await Promise.all([
      ...this.backends.map((site) => site.close()),
      this.edge.close(),
      this.closeClientWires(),
    ]);
  }
}
