import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Candidate, inOrder, loadOf, prefixKey } from './routing.ts';

const backend = (index: number, running = 0, most = 4, numInFlight = 0): Candidate => ({
  url: `http://backend-${index}`,
  load: { running, queued: 0, max_concurrent: most },
  numInFlight,
});
const idle = (num: number): Candidate[] => Array.from({ length: num }, (_, index) => backend(index));
const firstOf = (backends: readonly Candidate[], key: string): string => inOrder(backends, key)[0]!.url;
const keys = Array.from({ length: 400 }, (_, index) => `tenant\nprompt ${index}`);

describe('a prefix', () => {
  it('goes to one backend while it has room, whatever order they are listed in', () => {
    fc.assert(
      fc.property(fc.string(), fc.shuffledSubarray([0, 1, 2, 3], { minLength: 4 }), (key, order) => {
        expect(
          firstOf(
            order.map((index) => backend(index)),
            key,
          ),
        ).toBe(firstOf(idle(4), key));
      }),
    );
  });

  it('moves only from a backend that is gone: no other prefix changes its place', () => {
    const moved = keys.filter((key) => firstOf(idle(4), key) !== firstOf(idle(4).slice(1), key));
    expect(new Set(moved.map((key) => firstOf(idle(4), key)))).toEqual(new Set(['http://backend-0']));
  });

  it('is spread with others over all backends', () => {
    const places = new Map<string, number>();
    for (const key of keys) places.set(firstOf(idle(4), key), (places.get(firstOf(idle(4), key)) ?? 0) + 1);
    expect(places.size).toBe(4);
    for (const count of places.values()) expect(count).toBeGreaterThan(keys.length / 8);
  });

  it('is that of a tenant and of the beginning of what it asks', () => {
    const input = (text: string): object => ({ messages: [{ role: 'user', content: text }] });
    const long = 'x'.repeat(10_000);
    expect(prefixKey('a', input(`${long}1`))).toBe(prefixKey('a', input(`${long}2`)));
    expect(prefixKey('a', input('1'))).not.toBe(prefixKey('a', input('2')));
    expect(prefixKey('a', input('1'))).not.toBe(prefixKey('b', input('1')));
  });
});

describe('a backend that is full', () => {
  it('comes after all that have room, and among full ones the fuller comes later', () => {
    const load = fc.record({ running: fc.nat({ max: 12 }), inFlight: fc.nat({ max: 12 }) });
    fc.assert(
      fc.property(fc.array(load, { minLength: 1, maxLength: 6 }), fc.string(), (loads, key) => {
        const backends = loads.map(({ running, inFlight }, index) => backend(index, running, 4, inFlight));
        const ordered = inOrder(backends, key).map(loadOf);
        expect(ordered).toHaveLength(backends.length);
        const full = ordered.filter((value) => value >= 1);
        expect(ordered.slice(ordered.length - full.length)).toEqual(full);
        expect(full).toEqual(full.toSorted((one, other) => one - other));
      }),
    );
  });

  it('is known by what this edge has sent, too, before the next heartbeat tells', () => {
    const [first, second] = inOrder(idle(2), 'key');
    expect(firstOf([{ ...first!, numInFlight: 4 }, second!], 'key')).toBe(second!.url);
  });
});
