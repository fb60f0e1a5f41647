import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fillPhilox } from './philox-simd.ts';
import { philox4x32 } from './philox.ts';

type Four = readonly [number, number, number, number];
interface KnownAnswer {
  counter: Four;
  key: readonly [number, number];
  words: Four;
}

const ONES = 0xffffffff;

describe('Philox4x32-10', () => {
  // Random123's kat_vectors: counter (4 words), key (2 words), result.
  it.each<KnownAnswer>([
    { counter: [0, 0, 0, 0], key: [0, 0], words: [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8] },
    {
      counter: [ONES, ONES, ONES, ONES],
      key: [ONES, ONES],
      words: [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd],
    },
    {
      counter: [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344],
      key: [0xa4093822, 0x299f31d0],
      words: [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1],
    },
  ])('gives Random123’s known answer $words', ({ counter, key, words }) => {
    const out = new Uint32Array(6);
    philox4x32(...counter, ...key, out, 1);
    expect([...out]).toEqual([0, ...words, 0]);
  });

  it('changes about half of all bits when one bit of counter or key changes', () => {
    const inputs = [1, 2, 3, 4, 5, 6] as const;
    const base = new Uint32Array(4);
    philox4x32(...inputs, base);
    let numFlipped = 0;
    for (let bit = 0; bit < 6 * 32; bit++) {
      const [a, b, c, d, e, f] = inputs.map((word, at) =>
        at === bit >> 5 ? word ^ (1 << (bit & 31)) : word,
      );
      const out = new Uint32Array(4);
      philox4x32(a!, b!, c!, d!, e!, f!, out);
      for (let at = 0; at < 4; at++) numFlipped += popCount(out[at]! ^ base[at]!);
    }
    expect(numFlipped / (192 * 128)).toBeCloseTo(0.5, 1);
  });
});

describe('Philox of many counters', () => {
  const word = fc.nat(ONES);

  it('gives the words of one counter at a time, for any key, length and counter words', () => {
    fc.assert(
      fc.property(fc.nat(300), word, word, word, word, (length, c1, c2, k0, k1) => {
        const expected = new Uint32Array(304);
        for (let first = 0; first < length; first += 4)
          philox4x32(first / 4, c1, c2, 0, k0, k1, expected, first);
        const out = new Uint32Array(length);
        fillPhilox(out, c1, c2, k0, k1);
        expect(out).toEqual(expected.slice(0, length));
      }),
    );
  });

  it('does so beyond the memory that it starts with, and afterwards', () => {
    for (const length of [200_003, 5]) {
      const out = new Uint32Array(length);
      fillPhilox(out, 7, 1, 2, 3);
      const last = new Uint32Array(4);
      philox4x32((length - 1) >>> 2, 7, 1, 0, 2, 3, last);
      expect(out[length - 1]).toBe(last[(length - 1) & 3]);
    }
  });
});

function popCount(word: number): number {
  return (word >>> 0).toString(2).replaceAll('0', '').length;
}
