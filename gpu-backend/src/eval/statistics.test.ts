import { describe, expect, it } from 'vitest';
import { Random } from '../data/random.ts';
import { bootstrap, mean, meanDifference, meanHalfWidth, wilson } from './statistics.ts';

describe('intervals of 95%', () => {
  it('of a share are Wilson’s', () => {
    // R: prop.test(8, 10, correct = FALSE), prop.test(0, 10, correct = FALSE)
    const { low, high } = wilson(8, 10);
    expect([low, high]).toEqual([expect.closeTo(0.4902, 3), expect.closeTo(0.9433, 3)]);
    expect(wilson(0, 10)).toEqual({ value: 0, low: 0, high: expect.closeTo(0.2775, 3) as number });
    expect(wilson(10, 10).low).toBeCloseTo(1 - 0.2775, 3);
    expect(wilson(0, 0)).toEqual({ value: NaN, low: 0, high: 1 });
  });

  /** How often an interval holds the truth, of 400 made experiments. */
  function coverage(holds: (random: Random) => boolean): number {
    const random = new Random(7);
    return Array.from({ length: 400 }, () => holds(random)).filter(Boolean).length / 400;
  }
  const coin = (random: Random, share: number): number => Number(random.nextUint32() < share * 2 ** 32);

  it('of a mean over tasks hold it about 95 times of 100, also where most are right', () => {
    for (const shares of [
      [0.5, 0.2],
      [0.97, 0.95, 0.6],
      [0.99, 0.99],
    ]) {
      const share = coverage((random) => {
        const tasks = shares.map((p) => {
          const numRight = Array.from({ length: 60 }, () => coin(random, p)).reduce((a, b) => a + b, 0);
          return { numRight, numTried: 60 };
        });
        const found = mean(tasks.map(({ numRight, numTried }) => numRight / numTried));
        return Math.abs(found - mean(shares)) <= meanHalfWidth(tasks);
      });
      expect(share).toBeGreaterThan(0.92);
    }
  });

  it('of a difference hold it about 95 times of 100, and are narrow where both sides go together', () => {
    const draw = (random: Random): number[][] =>
      [0.1, 0.3].map((p) => Array.from({ length: 80 }, () => coin(random, p) - coin(random, 0.2)));
    const share = coverage((random) => {
      const { low, high } = meanDifference(draw(random));
      return low <= 0 && high >= 0;
    });
    expect(share).toBeGreaterThan(0.92);
    expect(share).toBeLessThan(0.98);
    expect(meanDifference([[0, 0, 0]])).toEqual({ value: 0, low: 0, high: 0 });
  });

  it('of a ratio by the bootstrap hold it about 95 times of 100, and are the same each time', () => {
    const ratio = (tasks: readonly (readonly [number, number][])[]): number =>
      mean(tasks.map((items) => mean(items.map(([a]) => a)) / mean(items.map(([, b]) => b))));
    const draw = (random: Random): [number, number][][] =>
      [0, 1].map(() => Array.from({ length: 40 }, () => [random.integer(1, 9), random.integer(2, 4)]));
    const random = new Random(3);
    const trials = Array.from({ length: 60 }, () => bootstrap(draw(random), ratio));
    const numHeld = trials.filter(({ low, high }) => low <= 5 / 3 && high >= 5 / 3).length;
    expect(numHeld / 60).toBeGreaterThan(0.85);
    const items = draw(new Random(4));
    expect(bootstrap(items, ratio)).toEqual(bootstrap(items, ratio));
  });
});
