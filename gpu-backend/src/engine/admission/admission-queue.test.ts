import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AdmissionQueue } from './admission-queue.ts';
import type { PushResult } from './admission-queue.ts';

interface Item {
  readonly tenant: string;
  readonly cost: number;
  readonly number: number;
}

const names = fc.constantFrom('a', 'b', 'c', 'd', 'e');
const costs = fc.integer({ min: 1, max: 60 });
const operations = fc.array(
  fc.oneof(
    { weight: 5, arbitrary: fc.record({ type: fc.constant('push'), tenant: names, cost: costs }) },
    { weight: 3, arbitrary: fc.record({ type: fc.constant('shift') }) },
    { weight: 1, arbitrary: fc.record({ type: fc.constant('remove'), index: fc.nat(20) }) },
  ),
  { maxLength: 120 },
);
const bounds = fc.record({
  maxWaiting: fc.integer({ min: 1, max: 24 }),
  quantum: fc.constantFrom(1, 7, 16, 100),
});

function retryAfterMs(result: PushResult): number {
  if (result.accepted) throw new Error('the item was accepted');
  return result.retryAfterMs;
}

/** A clock that is set by hand. */
function clock(): { now: () => number; advance: (ms: number) => void } {
  let nowMs = 1000;
  return { now: () => nowMs, advance: (ms) => (nowMs += ms) };
}

describe('an item that was accepted', () => {
  it('is served once, or removed once; in the order of arrival among those of its tenant', () => {
    fc.assert(
      fc.property(operations, bounds, (steps, options) => {
        const queue = new AdmissionQueue<Item>(options);
        let waiting: Item[] = [];
        for (const [number, step] of steps.entries()) {
          if (step.type === 'push') {
            const item = { tenant: step.tenant, cost: step.cost, number };
            if (queue.push(item.tenant, item.cost, item).accepted) waiting.push(item);
          } else if (step.type === 'remove') {
            const item = waiting[step.index];
            if (item !== undefined) expect(queue.remove(item)).toBe(true);
            if (item !== undefined) expect(queue.remove(item)).toBe(false);
            waiting = waiting.filter((other) => other !== item);
          } else {
            const next = queue.peek();
            expect(queue.peek()).toBe(next);
            expect(queue.shift()).toBe(next);
            // Work conserving: where one waits, one is served.
            expect(next === undefined).toBe(waiting.length === 0);
            expect(next?.item).toBe(waiting.find(({ tenant }) => tenant === next?.tenant));
            waiting = waiting.filter((item) => item !== next?.item);
          }
          queue.checkIntegrity();
          expect(queue.numTenants).toBe(new Set(waiting.map(({ tenant }) => tenant)).size);
          const byNumber = [...queue].map(({ item }) => item).toSorted((a, b) => a.number - b.number);
          expect(byNumber).toEqual(waiting);
        }
      }),
    );
  });

  it('cannot be pushed again while it waits, and needs a cost', () => {
    const queue = new AdmissionQueue<string>({ maxWaiting: 4 });
    queue.push('a', 1, 'x');
    expect(() => queue.push('b', 1, 'x')).toThrow('waits already');
    for (const cost of [0, -1, NaN, Infinity]) expect(() => queue.push('a', cost, 'y')).toThrow(RangeError);
    expect(queue.size).toBe(1);
  });
});

describe('turns', () => {
  it('let a tenant wait for ⌈cost ÷ quantum⌉ quanta and one dearest item of each other, however many these have', () => {
    const arrival = fc.record({ tenant: names, cost: costs });
    const pushes = fc.array(arrival, { minLength: 100, maxLength: 200 });
    fc.assert(
      fc.property(
        pushes,
        fc.nat(80),
        costs,
        fc.constantFrom(1, 7, 16, 100),
        (arrivals, numBefore, cost, quantum) => {
          const queue = new AdmissionQueue<Item>({ maxWaiting: 1e6, quantum });
          const push = (item: Item): unknown => queue.push(item.tenant, item.cost, item);
          arrivals.forEach((arrival, number) => push({ ...arrival, number }));
          for (let number = 0; number < numBefore; number++) queue.shift();
          const others = new Set([...queue].map(({ tenant }) => tenant));
          const late = { tenant: 'late', cost, number: -1 };
          push(late);
          const servedBefore = new Map<string, number>();
          for (let next = queue.shift(); next?.item !== late; next = queue.shift()) {
            // The others go on flooding.
            push({ ...next!.item });
            servedBefore.set(next!.tenant, (servedBefore.get(next!.tenant) ?? 0) + next!.cost);
          }
          expect(others.size).toBeGreaterThan(0);
          for (const served of servedBefore.values()) {
            expect(served).toBeLessThanOrEqual(Math.ceil(cost / quantum) * quantum + 60);
          }
        },
      ),
    );
  });

  it('serve as much of each tenant as of any other, within one quantum and two dearest items', () => {
    fc.assert(
      fc.property(fc.array(costs, { minLength: 3, maxLength: 10 }), (kinds) => {
        const quantum = 40;
        const queue = new AdmissionQueue<Item>({ maxWaiting: 1e6, quantum });
        // Tenant n always has items of one cost: who asks for dear ones gets fewer.
        const push = (tenant: number, number: number): unknown =>
          queue.push(String(tenant), kinds[tenant]!, {
            tenant: String(tenant),
            cost: kinds[tenant]!,
            number,
          });
        kinds.forEach((_, tenant) => [0, 1, 2].forEach((number) => push(tenant, number)));
        const served = kinds.map(() => 0);
        for (let number = 3; number < 400; number++) {
          const next = queue.shift()!;
          served[Number(next.tenant)]! += next.cost;
          push(Number(next.tenant), number);
          expect(Math.max(...served) - Math.min(...served)).toBeLessThanOrEqual(quantum + 2 * 60);
        }
      }),
    );
  });

  it('come to an item of any cost, a million quanta too, without counting rounds one by one', () => {
    const queue = new AdmissionQueue<string>({ maxWaiting: 8, quantum: 1 });
    queue.push('a', 1e12, 'dear');
    queue.push('b', 2e12, 'dearer');
    expect(queue.shift()?.item).toBe('dear');
    expect(queue.shift()?.item).toBe('dearer');
    expect(queue.shift()).toBe(undefined);
  });

  it('give a tenant that left no credit for its next item', () => {
    const queue = new AdmissionQueue<string>({ maxWaiting: 16, quantum: 10 });
    queue.push('a', 1, 'a1');
    queue.push('b', 10, 'b1');
    expect(queue.shift()?.item).toBe('a1');
    queue.push('a', 1, 'a2');
    expect(queue.shift()?.item).toBe('b1');
    expect(queue.shift()?.item).toBe('a2');
  });
});

describe('the bound', () => {
  it('is never exceeded; one tenant has at most its share, and the last places are for tenants without any', () => {
    fc.assert(
      fc.property(operations, bounds, (steps, options) => {
        const { maxWaiting } = options;
        const queue = new AdmissionQueue<Item>(options);
        for (const [number, step] of steps.entries()) {
          if (step.type === 'shift') queue.shift();
          if (step.type !== 'push') continue;
          const numOwn = [...queue].filter(({ tenant }) => tenant === step.tenant).length;
          const { numTenants, size } = queue;
          const { accepted } = queue.push(step.tenant, step.cost, {
            tenant: step.tenant,
            cost: step.cost,
            number,
          });
          if (accepted) {
            expect(queue.size).toBeLessThanOrEqual(maxWaiting);
            expect(numOwn).toBeLessThan(Math.max(1, Math.floor(maxWaiting / 2)));
          } else if (numOwn === 0) {
            expect(size).toBe(maxWaiting);
            expect(numTenants).toBeGreaterThanOrEqual(Math.floor(maxWaiting / 4));
          }
        }
      }),
    );
  });

  it.each([1, 2, 7])('refuses the tenants that flood, not the others: %i of them', (numFlooding) => {
    const queue = new AdmissionQueue<number>({ maxWaiting: 64 });
    for (let item = 0; item < 5000; item++) queue.push(`flood ${item % numFlooding}`, 100, item);
    expect(queue.size).toBe(numFlooding === 1 ? 32 : 48);
    for (let tenant = 0; tenant < 16; tenant++) {
      expect(queue.push(`tenant ${tenant}`, 100, 5000 + tenant).accepted).toBe(true);
    }
    for (let served = 0; served < 16; served++) queue.shift();
    expect(queue.push('late', 100, 6000).accepted).toBe(true);
  });

  it('of one lets one wait', () => {
    const queue = new AdmissionQueue<string>({ maxWaiting: 1 });
    expect(queue.push('a', 1, 'x').accepted).toBe(true);
    expect(queue.push('a', 1, 'y').accepted).toBe(false);
    expect(queue.push('b', 1, 'z')).toMatchObject({ accepted: false, reason: 'queue' });
  });

  it('of none refuses all, with a retry time', () => {
    const queue = new AdmissionQueue<string>({ maxWaiting: 0, initialMsPerItem: 500 });
    expect(queue.push('a', 1, 'x')).toEqual({ accepted: false, reason: 'queue', retryAfterMs: 500 });
  });
});

describe('the retry time', () => {
  function full(): { queue: AdmissionQueue<number>; advance: (ms: number) => void } {
    const { now, advance } = clock();
    const queue = new AdmissionQueue<number>({ maxWaiting: 4, maxTenantShare: 1, newcomerShare: 0, now });
    for (let item = 0; item < 4; item++) queue.push('a', 1, item);
    return { queue, advance };
  }

  it('follows the time that a place was measured to take', () => {
    const { queue, advance } = full();
    for (let item = 4; item < 100; item++) {
      advance(200);
      queue.shift();
      queue.push('a', 1, item);
    }
    const result = retryAfterMs(queue.push('b', 1, 1000));
    expect(result).toBeGreaterThanOrEqual(200);
    expect(result).toBeLessThan(210);
  });

  it('gives those that are refused one after the other a place each', () => {
    const { queue, advance } = full();
    const times = [1, 2, 3].map((item) => retryAfterMs(queue.push('b', 1, 1000 + item)));
    expect(times).toEqual([1000, 2000, 3000]);
    advance(1000);
    queue.shift();
    queue.push('a', 1, 5);
    expect(retryAfterMs(queue.push('b', 1, 1004))).toBe(3000);
  });

  it('counts the turns of the others where a tenant is over its own share', () => {
    const queue = new AdmissionQueue<number>({ maxWaiting: 8, now: clock().now });
    for (let item = 0; item < 4; item++) queue.push('a', 1, item);
    expect(queue.push('a', 1, 10)).toEqual({ accepted: false, reason: 'tenant', retryAfterMs: 1000 });
    queue.push('b', 1, 11);
    expect(queue.push('a', 1, 12)).toEqual({ accepted: false, reason: 'tenant', retryAfterMs: 4000 });
  });

  it('grows while nothing leaves, to a limit, and never falls to nothing', () => {
    const { queue, advance } = full();
    advance(9000);
    expect(retryAfterMs(queue.push('b', 1, 10))).toBe(9000);
    advance(1e6);
    expect(retryAfterMs(queue.push('b', 1, 11))).toBe(60_000);
    for (let item = 4; item < 200; item++) {
      queue.shift();
      queue.push('a', 1, item);
    }
    expect(retryAfterMs(queue.push('b', 1, 1000))).toBe(100);
  });

  it('does not count the time in which nobody waited', () => {
    const { now, advance } = clock();
    const queue = new AdmissionQueue<number>({ maxWaiting: 1, now });
    queue.push('a', 1, 0);
    queue.remove(0);
    advance(1e5);
    queue.push('a', 1, 1);
    expect(retryAfterMs(queue.push('b', 1, 2))).toBe(1000);
    advance(1000);
    queue.shift();
    advance(1e5);
    queue.push('a', 1, 3);
    expect(retryAfterMs(queue.push('b', 1, 4))).toBe(1000);
  });
});

describe('a tenant', () => {
  it('leaves no memory behind when its last item goes', () => {
    const queue = new AdmissionQueue<number>({ maxWaiting: 4 });
    for (let item = 0; item < 10_000; item++) {
      queue.push(`tenant ${item}`, 1, item);
      if (item % 2 === 0) queue.shift();
      else queue.remove(item);
    }
    expect([queue.size, queue.numTenants]).toEqual([0, 0]);
    queue.checkIntegrity();
  });
});
