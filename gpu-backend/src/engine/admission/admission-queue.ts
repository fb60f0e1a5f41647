import { DrainRate } from './drain-rate.ts';

export interface AdmissionQueueOptions {
  readonly maxWaiting: number;
  /** The most that one tenant may have waiting, as a share of `maxWaiting`. */
  readonly maxTenantShare?: number;
  /** The last places are only for tenants that have nothing waiting: this share of `maxWaiting`. */
  readonly newcomerShare?: number;
  /** What a tenant may add to its credit at each of its turns, in cost. */
  readonly quantum?: number;
  /** The time that a place takes to become free, until it is measured. */
  readonly initialMsPerItem?: number;
  readonly maxRetryMs?: number;
  readonly now?: () => number;
}

export type PushResult =
  | { readonly accepted: true }
  | { readonly accepted: false; readonly reason: 'queue' | 'tenant'; readonly retryAfterMs: number };

export interface Waiting<T> {
  readonly tenant: string;
  readonly cost: number;
  readonly item: T;
}

/** A tenant with at least one item; it is forgotten with its last. */
interface Tenant<T> {
  readonly name: string;
  /** In the order of arrival. */
  readonly entries: Map<T, Waiting<T>>;
  /** Cost that it may still have served in its turn. */
  credit: number;
  /** Whether its turn has begun. */
  isServed: boolean;
  /** Refusals since one of its items left: their retries are spread over as many places. */
  numRefused: number;
}

const MIN_RETRY_MS = 100;

/**
 * Who waits for a place, bounded, in the order of arrival within a tenant, and in turns between tenants: deficit round
 * robin, each turn worth `quantum`. What tenant B waits for, with an item of cost c and nothing before it: at most
 * ⌈c ÷ quantum⌉ · quantum + the dearest item, of each other tenant.
 */
export class AdmissionQueue<T> {
  readonly #options: Required<Omit<AdmissionQueueOptions, 'now' | 'initialMsPerItem'>>;
  readonly #drain: DrainRate;
  /** In the order of turns, the first one's is now. */
  readonly #tenants = new Map<string, Tenant<T>>();
  readonly #tenantsByItem = new Map<T, Tenant<T>>();
  #numRefused = 0;

  constructor({ now = () => performance.now(), initialMsPerItem = 1000, ...options }: AdmissionQueueOptions) {
    const defaults = { maxTenantShare: 0.5, newcomerShare: 0.25, quantum: 1024, maxRetryMs: 60_000 };
    this.#options = { ...defaults, ...options };
    this.#drain = new DrainRate(initialMsPerItem, now);
  }

  get size(): number {
    return this.#tenantsByItem.size;
  }

  get numTenants(): number {
    return this.#tenants.size;
  }

  /** Cost in tokens, above 0. A refused item leaves nothing behind; its caller may try again after the time given. */
  push(tenant: string, cost: number, item: T): PushResult {
    if (!(cost > 0 && cost < Infinity)) throw new RangeError(`a cost of ${cost}`);
    if (this.#tenantsByItem.has(item)) throw new RangeError('the item waits already');
    const reason = this.#reasonToRefuse(tenant);
    if (reason !== undefined) return this.#refuse(tenant, reason);
    const queued = this.#enter(tenant);
    queued.entries.set(item, { tenant, cost, item });
    this.#tenantsByItem.set(item, queued);
    this.#drain.start();
    return { accepted: true };
  }

  /** Whose turn it is; it stays the same until it is shifted or removed. */
  peek(): Waiting<T> | undefined {
    let numPassed = 0;
    for (;;) {
      const tenant = first(this.#tenants);
      const head = tenant && first(tenant.entries);
      if (tenant === undefined || head === undefined) return undefined;
      if (!tenant.isServed) tenant.credit += this.#options.quantum;
      tenant.isServed = true;
      if (head.cost <= tenant.credit) return head;
      this.#endTurn(tenant);
      numPassed += 1;
      if (numPassed === this.#tenants.size) this.#skipRounds();
    }
  }

  /** Takes out whose turn it is: it goes on to a place. */
  shift(): Waiting<T> | undefined {
    const entry = this.peek();
    const tenant = entry && this.#tenantsByItem.get(entry.item);
    if (entry === undefined || tenant === undefined) return undefined;
    tenant.credit -= entry.cost;
    tenant.numRefused = Math.max(0, tenant.numRefused - 1);
    this.#numRefused = Math.max(0, this.#numRefused - 1);
    this.#take(tenant, entry.item);
    this.#drain.measure(this.size === 0);
    return entry;
  }

  /** For one that was cancelled; false where it does not wait. */
  remove(item: T): boolean {
    const tenant = this.#tenantsByItem.get(item);
    if (tenant === undefined) return false;
    this.#take(tenant, item);
    if (this.size === 0) this.#drain.stop();
    return true;
  }

  /** By tenant, in the order of arrival within each. */
  *[Symbol.iterator](): Generator<Waiting<T>, void, undefined> {
    for (const { entries } of this.#tenants.values()) yield* entries.values();
  }

  /** Throws where tenants, items and bounds do not add up. */
  checkIntegrity(): void {
    let numItems = 0;
    for (const [name, tenant] of this.#tenants) {
      if (tenant.entries.size === 0) throw new Error(`tenant '${name}' is kept without an item`);
      if (tenant.credit < 0)
        throw new Error(`tenant '${name}' was served ${-tenant.credit} beyond its credit`);
      for (const item of tenant.entries.keys()) {
        if (this.#tenantsByItem.get(item) !== tenant) throw new Error(`an item of '${name}' is lost`);
      }
      numItems += tenant.entries.size;
    }
    if (numItems !== this.size) throw new Error(`${numItems} items wait, ${this.size} are counted`);
    if (this.size > this.#options.maxWaiting) throw new Error(`${this.size} items wait`);
  }

  #reasonToRefuse(name: string): 'queue' | 'tenant' | undefined {
    const { maxWaiting, maxTenantShare, newcomerShare } = this.#options;
    const numFree = maxWaiting - this.size;
    if (numFree <= 0) return 'queue';
    const numOwn = this.#tenants.get(name)?.entries.size ?? 0;
    if (numOwn === 0) return undefined;
    const isOverShare = numOwn >= Math.max(1, Math.floor(maxWaiting * maxTenantShare));
    return isOverShare || numFree <= Math.floor(maxWaiting * newcomerShare) ? 'tenant' : undefined;
  }

  /** As many places must become free as were refused before it, each after the time that one takes now. */
  #refuse(name: string, reason: 'queue' | 'tenant'): PushResult {
    const { maxWaiting, maxRetryMs } = this.#options;
    const tenant = this.#tenants.get(name);
    const maxPlaces = Math.max(1, maxWaiting);
    let numPlaces: number;
    if (reason === 'tenant' && tenant !== undefined) {
      tenant.numRefused = Math.min(maxPlaces, tenant.numRefused + 1);
      // Its own items leave in turns with those of the others.
      numPlaces = tenant.numRefused * this.#tenants.size;
    } else {
      this.#numRefused = Math.min(maxPlaces, this.#numRefused + 1);
      numPlaces = this.#numRefused;
    }
    const waitMs = Math.ceil(numPlaces * this.#drain.millisecondsPerItem);
    return { accepted: false, reason, retryAfterMs: Math.min(maxRetryMs, Math.max(MIN_RETRY_MS, waitMs)) };
  }

  #enter(name: string): Tenant<T> {
    const known = this.#tenants.get(name);
    if (known !== undefined) return known;
    const tenant: Tenant<T> = { name, entries: new Map(), credit: 0, isServed: false, numRefused: 0 };
    this.#tenants.set(name, tenant);
    return tenant;
  }

  #take(tenant: Tenant<T>, item: T): void {
    tenant.entries.delete(item);
    this.#tenantsByItem.delete(item);
    if (tenant.entries.size === 0) this.#tenants.delete(tenant.name);
  }

  #endTurn(tenant: Tenant<T>): void {
    tenant.isServed = false;
    this.#tenants.delete(tenant.name);
    this.#tenants.set(tenant.name, tenant);
  }

  /** Nobody's credit was enough in a whole round: as many rounds at once as pass before anybody's is. */
  #skipRounds(): void {
    const { quantum } = this.#options;
    let numRounds = Infinity;
    for (const { entries, credit } of this.#tenants.values()) {
      const cost = first(entries)?.cost ?? Infinity;
      numRounds = Math.min(numRounds, Math.ceil((cost - credit) / quantum) - 1);
    }
    for (const tenant of this.#tenants.values()) tenant.credit += numRounds * quantum;
  }
}

function first<V>(map: ReadonlyMap<unknown, V>): V | undefined {
  for (const value of map.values()) return value;
  return undefined;
}
