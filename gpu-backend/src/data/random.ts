/**
 * A small seeded generator (xoshiro128**, seeded by splitmix32), so that data are the same bytes each time.
 * Not for sampling text: that noise has to be a function of its position, see shared/src/noise.ts.
 */
export class Random {
  #state: [number, number, number, number];

  constructor(seed: number) {
    const next = splitmix32(seed);
    this.#state = [next(), next(), next(), next()];
  }

  /** A whole number in [0, 2^32). */
  nextUint32(): number {
    const [a, b, c, d] = this.#state;
    const result = Math.imul(rotateLeft(Math.imul(b, 5), 7), 9) >>> 0;
    const mixedC = c ^ a;
    const mixedD = d ^ b;
    this.#state = [a ^ mixedD, b ^ mixedC, mixedC ^ (b << 9), rotateLeft(mixedD, 11)];
    return result;
  }

  /** A whole number in [min, max], both included. */
  integer(min: number, max: number): number {
    return min + Math.floor((this.nextUint32() / 2 ** 32) * (max - min + 1));
  }

  /** One of `items`, all equally likely. */
  pick<T>(items: readonly T[]): T {
    if (items.length === 0) throw new RangeError('cannot pick from an empty list');
    return items[this.integer(0, items.length - 1)] as T;
  }

  /** Shuffles in place (Fisher-Yates) and returns the same array. */
  shuffle<T>(items: T[]): T[] {
    for (let i = items.length - 1; i > 0; i--) {
      const j = this.integer(0, i);
      const held = items[i] as T;
      items[i] = items[j] as T;
      items[j] = held;
    }
    return items;
  }
}

function rotateLeft(value: number, bits: number): number {
  return (value << bits) | (value >>> (32 - bits));
}

function splitmix32(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x9e3779b9) | 0;
    let mixed = Math.imul(state ^ (state >>> 16), 0x21f0aaad);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
    return (mixed ^ (mixed >>> 15)) >>> 0;
  };
}
