import { describe, expect, it } from 'vitest';
import {
  fillGumbelNoise,
  gumbelFromWord,
  gumbelNoise,
  HIGHEST_NOISE,
  KeyedNoise,
  noiseCeiling,
} from './noise.ts';

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

  // Written down when the noise was first used: texts that were drawn with it must be drawn again.
  it.each([
    { seed: 0n, choice: 0, position: 0, tokenId: 0, value: 0.08482025111138762 },
    { seed: 5n, choice: 0, position: 7, tokenId: 1, value: 5.339413538621409 },
    { seed: 0xffff_ffff_ffff_ffffn, choice: 3, position: 4095, tokenId: 131_071, value: -0.5384986581576238 },
    { seed: 0x1234_5678_9abc_def0n, choice: 1, position: 41, tokenId: 30, value: -0.24883706316124082 },
  ])('of token $tokenId at $position has a known answer', ({ seed, choice, position, tokenId, value }) => {
    expect(gumbelNoise(seed, choice, position, tokenId)).toBe(value);
  });

  it('rises with its word, stays below the ceiling of the word and below the highest noise', () => {
    let last = -Infinity;
    for (let word = 0; word <= 0xffff_ffff; word += 1_999_993) {
      const value = gumbelFromWord(word);
      expect(value).toBeGreaterThan(last);
      expect(value).toBeLessThan(noiseCeiling(word));
      last = value;
    }
    expect(gumbelFromWord(0xffff_ffff)).toBe(HIGHEST_NOISE);
    expect(noiseCeiling(0xffff_ffff)).toBeGreaterThanOrEqual(HIGHEST_NOISE);
    expect(HIGHEST_NOISE).toBeCloseTo(22.87, 2);
  });
});

describe('the noise of one choice', () => {
  const keyed = new KeyedNoise(5n, 0, VOCAB);

  it('is computed once for a position, and again after the position was released', () => {
    const first = keyed.words(7);
    const values = noise(5n, 0, 7);
    expect(keyed.words(7)).toBe(first);
    expect(Array.from(first.subarray(0, VOCAB), gumbelFromWord)).toEqual([...values]);
    expect(keyed.at(7, 30)).toBe(values[30]);
    keyed.release(8);
    expect(Array.from(keyed.words(8).subarray(0, VOCAB), gumbelFromWord)).toEqual([...noise(5n, 0, 8)]);
    expect(Array.from(keyed.words(7).subarray(0, VOCAB), gumbelFromWord)).toEqual([...values]);
  });

  it('is nowhere higher than the highest of its position', () => {
    for (let position = 0; position < 50; position++) {
      const values = new Float64Array(1000);
      fillGumbelNoise(values, 5n, 0, position);
      const highest = new KeyedNoise(5n, 0, values.length).highest(position);
      expect(highest).toBeGreaterThanOrEqual(Math.max(...values));
      expect(highest).toBeCloseTo(Math.max(...values), 6);
    }
  });

  it('is right at every position however few of them are kept', () => {
    const large = new KeyedNoise(5n, 0, 100_000);
    for (const position of [3, 9, 4, 3, 9]) {
      const words = large.words(position);
      for (const id of [0, 1, 49_998, 99_999])
        expect(gumbelFromWord(words[id]!)).toBe(gumbelNoise(5n, 0, position, id));
    }
  });
});

function long(seed: bigint, choice: number, position: number): Float64Array {
  const out = new Float64Array(10_000);
  fillGumbelNoise(out, seed, choice, position);
  return out;
}
