import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Random } from './random.ts';

describe('Random', () => {
  it('gives the same numbers for the same seed, others for another', () => {
    const draw = (seed: number): number[] => {
      const random = new Random(seed);
      return Array.from({ length: 8 }, () => random.nextUint32());
    };
    expect(draw(7)).toEqual(draw(7));
    expect(draw(7)).not.toEqual(draw(8));
  });

  it('draws whole numbers inside the range, both ends included', () => {
    fc.assert(
      fc.property(fc.integer(), fc.integer({ min: -50, max: 50 }), fc.nat(20), (seed, min, width) => {
        const random = new Random(seed);
        const drawn = new Set(
          Array.from({ length: 50 * (width + 1) }, () => random.integer(min, min + width)),
        );
        expect([...drawn].toSorted((a, b) => a - b)).toEqual(
          Array.from({ length: width + 1 }, (_, i) => min + i),
        );
      }),
      { numRuns: 20 },
    );
  });

  it('is uniform: a chi-square test over 16 cells', () => {
    const random = new Random(3);
    const counts = Array<number>(16).fill(0);
    for (let i = 0; i < 16_000; i++) counts[random.integer(0, 15)]! += 1;
    const chiSquare = counts.reduce((sum, count) => sum + (count - 1000) ** 2 / 1000, 0);
    expect(chiSquare).toBeLessThan(37.7); // 15 degrees of freedom, p = 0.001
  });

  it('shuffles to a permutation', () => {
    const shuffled = new Random(5).shuffle(Array.from({ length: 100 }, (_, i) => i));
    expect(shuffled).not.toEqual(shuffled.toSorted((a, b) => a - b));
    expect(new Set(shuffled).size).toBe(100);
  });

  it('refuses to pick from nothing', () => {
    expect(() => new Random(1).pick([])).toThrow(RangeError);
  });
});
