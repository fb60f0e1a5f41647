import { describe, expect, it } from 'vitest';
import { fillGumbelNoise, gumbelNoise, NoiseCache } from './noise.ts';

const VOCAB = 37;

function noise(seed: bigint, choice: number, position: number): Float64Array {
  const out = new Float64Array(VOCAB);
  fillGumbelNoise(out, seed, choice, position);
  return out;
}

function correlation(a: Float64Array, b: Float64Array): number {
  const mean = (x: Float64Array): number => x.reduce((total, value) => total + value, 0) / x.length;
  const [meanA, meanB] = [mean(a), mean(b)];
  const covariance = (x: Float64Array, y: Float64Array, mx: number, my: number): number =>
    x.reduce((total, value, at) => total + (value - mx) * (y[at]! - my), 0);
  return (
    covariance(a, b, meanA, meanB) /
    Math.sqrt(covariance(a, a, meanA, meanA) * covariance(b, b, meanB, meanB))
  );
}

describe('Gumbel noise', () => {
  it('is the same for a token alone and in a filled vocabulary, also where 4 does not divide it', () => {
    const filled = noise(0x1234_5678_9abc_def0n, 3, 99);
    for (let id = 0; id < VOCAB; id++)
      expect(gumbelNoise(0x1234_5678_9abc_def0n, 3, 99, id)).toBe(filled[id]);
  });

  it('does not depend on the size of the vocabulary', () => {
    const large = new Float64Array(1000);
    fillGumbelNoise(large, 5n, 0, 7);
    expect(large.subarray(0, VOCAB)).toEqual(noise(5n, 0, 7));
  });

  it('has the mean and variance of the Gumbel distribution', () => {
    const out = new Float64Array(200_000);
    fillGumbelNoise(out, 1n, 0, 0);
    const mean = out.reduce((total, value) => total + value, 0) / out.length;
    const variance = out.reduce((total, value) => total + (value - mean) ** 2, 0) / out.length;
    expect(mean).toBeCloseTo(0.5772, 2);
    expect(variance).toBeCloseTo(Math.PI ** 2 / 6, 1);
    expect(out.every(Number.isFinite)).toBe(true);
  });

  it.each([
    { differs: 'the seed’s low word', other: () => long(6n, 0, 7) },
    { differs: 'the seed’s high word', other: () => long(5n + (1n << 32n), 0, 7) },
    { differs: 'the seed’s highest bit', other: () => long(5n + (1n << 63n), 0, 7) },
    { differs: 'the choice', other: () => long(5n, 1, 7) },
    { differs: 'the position', other: () => long(5n, 0, 8) },
  ])('is independent when $differs differs', ({ other }) => {
    expect(Math.abs(correlation(long(5n, 0, 7), other()))).toBeLessThan(0.04);
  });

  it('is computed once for a position, and again after the position was released', () => {
    const cache = new NoiseCache(5n, 0, VOCAB);
    const first = cache.at(7);
    expect(first).toEqual(noise(5n, 0, 7));
    expect(cache.at(7)).toBe(first);
    cache.release(8);
    expect(cache.at(8)).toEqual(noise(5n, 0, 8));
    expect(cache.at(7)).toEqual(noise(5n, 0, 7));
    expect(cache.at(8)).toEqual(noise(5n, 0, 8));
  });
});

function long(seed: bigint, choice: number, position: number): Float64Array {
  const out = new Float64Array(10_000);
  fillGumbelNoise(out, seed, choice, position);
  return out;
}
