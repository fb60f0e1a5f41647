import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { quantile, quantilesOf } from './quantiles.ts';
import { trendOf } from './trend.ts';

const samples = (count: number, valueAt: (seconds: number) => number) =>
  Array.from({ length: count }, (_, seconds) => ({ seconds, value: valueAt(seconds) }));

describe('a trend', () => {
  it('is what a line grows by after the warm-up, whatever came before', () => {
    const { growth, first, last } = trendOf(
      samples(101, (seconds) => (seconds < 50 ? 10 * seconds : 100 + (seconds - 50))),
      0.5,
    );
    expect(first).toBeCloseTo(100);
    expect(last).toBeCloseTo(150);
    expect(growth).toBeCloseTo(0.5);
  });

  it('tells by tenths whether what grows comes to an end', () => {
    const { tenths } = trendOf(
      samples(100, (seconds) => Math.min(50, seconds)),
      0,
    );
    expect(tenths).toHaveLength(10);
    expect(tenths[0]).toBeLessThan(10);
    expect(tenths.slice(-4)).toEqual([50, 50, 50, 50]);
  });

  it('is none where memory goes up and down about one value', () => {
    const saw = samples(1000, (seconds) => 100 + (seconds % 10));
    expect(Math.abs(trendOf(saw, 0.3).growth)).toBeLessThan(0.01);
  });

  it('sees a leak through the noise of what is freed and taken', () => {
    const leak = samples(1000, (seconds) => 100 + (seconds % 10) + 0.05 * seconds);
    expect(trendOf(leak, 0.3).growth).toBeGreaterThan(0.2);
  });

  it('is none of one sample', () => {
    expect(trendOf([{ seconds: 1, value: 5 }], 0.5).growth).toBe(0);
  });
});

describe('a quantile', () => {
  it('is a value that so large a share of all are at most, and no lower one is', () => {
    const values = fc.array(fc.integer({ min: -50, max: 50 }), { minLength: 1, maxLength: 200 });
    fc.assert(
      fc.property(values, fc.constantFrom(0.5, 0.9, 0.99, 1), (all, share) => {
        const value = quantile(
          all.toSorted((a, b) => a - b),
          share,
        );
        const shareOf = (counts: (one: number) => boolean): number => all.filter(counts).length / all.length;
        expect(shareOf((one) => one <= value)).toBeGreaterThanOrEqual(share);
        expect(shareOf((one) => one < value)).toBeLessThan(share);
      }),
    );
    expect(quantilesOf([4, 1, 3, 2])).toEqual({ p50: 2, p90: 4, p99: 4, most: 4 });
  });
});
