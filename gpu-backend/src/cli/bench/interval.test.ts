import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Random } from '../../data/random.ts';
import {
  median,
  medianInterval,
  MIN_SAMPLES,
  ratioInterval,
  relativeHalfWidth,
  repeatUntil,
  showInterval,
  turns,
} from './interval.ts';

const value = fc.double({ min: 0.1, max: 1000, noNaN: true });
const samples = fc.array(value, { minLength: MIN_SAMPLES, maxLength: 60 });

describe('the interval of a median', () => {
  it('holds the median, lies within the samples, and knows no order', () => {
    fc.assert(
      fc.property(samples, (values) => {
        const { median: middle, low, high, numSamples } = medianInterval(values);
        expect(middle).toBe(median(values));
        expect(low).toBeLessThanOrEqual(middle);
        expect(high).toBeGreaterThanOrEqual(middle);
        expect(low).toBeGreaterThanOrEqual(Math.min(...values));
        expect(high).toBeLessThanOrEqual(Math.max(...values));
        expect(numSamples).toBe(values.length);
        expect(medianInterval(values.toReversed())).toEqual(medianInterval(values));
      }),
    );
  });

  it('scales and mirrors with its samples', () => {
    fc.assert(
      fc.property(samples, (values) => {
        const { median: middle, low, high } = medianInterval(values);
        const doubled = medianInterval(values.map((x) => -2 * x));
        expect(doubled.median).toBeCloseTo(-2 * middle, 8);
        expect(doubled.low).toBeCloseTo(-2 * high, 8);
        expect(doubled.high).toBeCloseTo(-2 * low, 8);
      }),
    );
  });

  it.each([6, 9, 20, 75])('of %i skewed samples covers the true median 95 times in 100', (numSamples) => {
    const random = new Random(numSamples);
    const numTrials = 4000;
    let numCovered = 0;
    for (let trial = 0; trial < numTrials; trial++) {
      const values = Array.from(
        { length: numSamples },
        () => -Math.log((random.nextUint32() + 0.5) / 2 ** 32),
      );
      const { low, high } = medianInterval(values);
      if (low <= Math.LN2 && Math.LN2 <= high) numCovered += 1;
    }
    // Four standard errors of a share of 0.95 are 0.014; interpolation is exact for no distribution.
    expect(numCovered / numTrials).toBeGreaterThan(0.93);
    expect(numCovered / numTrials).toBeLessThan(0.985);
  });

  it('is unbounded where no 95% can be had', () => {
    expect(medianInterval([1, 2, 3, 4, 5])).toEqual({
      median: 3,
      low: -Infinity,
      high: Infinity,
      numSamples: 5,
    });
    expect(showInterval(medianInterval([2, 2, 2]))).toBe('2.00 ±?');
    expect(medianInterval([]).median).toBeNaN();
  });

  it('does not move for one run that was interrupted', () => {
    const values = [10, 11, 10, 12, 11, 10, 11, 12, 11, 10, 11, 11];
    const { high } = medianInterval([...values, 5000]);
    expect(high).toBeLessThanOrEqual(12);
  });

  it('narrows as the root of the number of samples, past what a double can hold of 2^-n', () => {
    const width = (numSamples: number): number => {
      const { low, high } = medianInterval(Array.from({ length: numSamples }, (_, i) => i / numSamples));
      return (high - low) * Math.sqrt(numSamples);
    };
    for (const numSamples of [50, 500, 1000, 1100, 5000]) expect(width(numSamples)).toBeCloseTo(1.96, 1);
  });
});

describe('the interval of paired ratios', () => {
  it('of A to B is the reciprocal of that of B to A', () => {
    const pairs = fc.array(fc.tuple(value, value), { minLength: MIN_SAMPLES, maxLength: 40 });
    fc.assert(
      fc.property(pairs, (all) => {
        const [over, under] = [all.map(([a]) => a), all.map(([, b]) => b)];
        const [one, other] = [ratioInterval(over, under), ratioInterval(under, over)];
        expect(one.median * other.median).toBeCloseTo(1, 8);
        expect(one.low * other.high).toBeCloseTo(1, 8);
        expect(one.high * other.low).toBeCloseTo(1, 8);
      }),
    );
  });

  it('does not see what slows both of a pair', () => {
    const under = [1, 7, 2, 30, 4, 11, 3];
    const interval = ratioInterval(
      under.map((x) => 3 * x),
      under,
    );
    expect(interval.median).toBeCloseTo(3);
    expect(relativeHalfWidth(interval)).toBeCloseTo(0);
    expect(showInterval(interval)).toBe('3.00 ±0.00');
    expect(() => ratioInterval([1], [1, 2])).toThrowError('cannot be paired');
  });
});

describe('repetition', () => {
  const clock = (stepMs: number): (() => number) => {
    let at = 0;
    return () => (at += stepMs);
  };

  it('goes on until every interval is narrow enough, and says so', async () => {
    const random = new Random(1);
    const measure = (): Promise<number> => Promise.resolve(100 + (random.nextUint32() / 2 ** 32) * 30);
    const options = { within: 0.02, timeLimitMs: 1e9, now: clock(1) };
    const result = await repeatUntil(measure, (all) => [medianInterval(all)], options);
    expect(result.stoppedBy).toBe('interval');
    expect(result.halfWidth).toBeLessThanOrEqual(0.02);
    expect(result.samples.length).toBeGreaterThan(8);
    const before = medianInterval(result.samples.slice(0, -1));
    expect(relativeHalfWidth(before)).toBeGreaterThan(0.02);
  });

  it('ends at the time limit, with at least one sample, and says so', async () => {
    const noisy = (repetition: number): Promise<number> => Promise.resolve(repetition % 2 === 0 ? 1 : 9);
    const intervals = (all: readonly number[]) => [medianInterval(all)];
    const long = await repeatUntil(noisy, intervals, { within: 0.02, timeLimitMs: 50, now: clock(1) });
    expect(long).toMatchObject({ stoppedBy: 'time limit', milliseconds: 50 });
    expect(long.samples).toHaveLength(50);
    const none = await repeatUntil(noisy, intervals, { within: 0.02, timeLimitMs: 0, now: clock(1) });
    expect(none.samples).toHaveLength(1);
  });

  it('gives every contender every place equally often', () => {
    const places = [0, 1, 2].map((repetition) => turns(3, repetition));
    for (const place of [0, 1, 2])
      expect(new Set(places.map((order) => order[place]))).toEqual(new Set([0, 1, 2]));
  });
});
