import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CircuitBreaker } from './breaker.ts';

const URL = 'http://one';

function broken(numFailures: number, nowMs = 0): CircuitBreaker {
  const breaker = new CircuitBreaker();
  for (let index = 0; index < numFailures; index += 1) breaker.failed(URL, nowMs);
  return breaker;
}

describe('a circuit', () => {
  it('opens at the third failure in a row, for two seconds, and for no other backend', () => {
    expect(broken(2).allows(URL, 0)).toBe(true);
    expect(broken(3).allows(URL, 1_999)).toBe(false);
    expect(broken(3).allows(URL, 2_000)).toBe(true);
    expect(broken(3).allows('http://other', 0)).toBe(true);
  });

  it('is closed again by any success', () => {
    const breaker = broken(2);
    breaker.succeeded(URL);
    breaker.failed(URL, 0);
    breaker.failed(URL, 0);
    expect(breaker.allows(URL, 0)).toBe(true);
  });

  it('lets one request try it when it is half open; that one closes it, or opens it for twice as long', () => {
    const breaker = broken(3);
    breaker.begin(URL, 2_000);
    expect(breaker.allows(URL, 2_001)).toBe(false);
    breaker.failed(URL, 2_100);
    expect(breaker.allows(URL, 6_099)).toBe(false);
    expect(breaker.allows(URL, 6_100)).toBe(true);
    breaker.begin(URL, 6_100);
    breaker.succeeded(URL);
    expect(breaker.allows(URL, 6_101)).toBe(true);
  });

  it('is tried again in the end, whatever became of those who tried, and never later than after a minute', () => {
    const action = fc.constantFrom('begin' as const, 'end' as const, 'failed' as const);
    fc.assert(
      fc.property(fc.array(fc.tuple(action, fc.nat({ max: 100_000 })), { maxLength: 50 }), (steps) => {
        const breaker = broken(3);
        let nowMs = 0;
        for (const [what, waitMs] of steps) {
          nowMs += waitMs;
          if (what === 'end') breaker.end(URL);
          else breaker[what](URL, nowMs);
        }
        expect(breaker.allows(URL, nowMs + 60_000)).toBe(true);
        expect(breaker.numInFlight(URL)).toBeGreaterThanOrEqual(0);
      }),
    );
  });
});
