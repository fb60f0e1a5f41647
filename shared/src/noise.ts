import { philox4x32 } from './philox.ts';

/**
 * Gumbel noise as a pure function of (seed, choice, position of the predicted token, token id).
 * `argmax(score + noise)` draws from softmax(score); because draft and verify rows that predict the same position
 * share the noise, the text does not depend on how the tokens were drafted.
 *
 * Counter: (token id / 4, position, choice, 0); key: the seed's low and high word; word of the four: token id mod 4.
 */

const WORD_RANGE = 2 ** 32;
const words = new Uint32Array(4);

/** A 32-bit word to a Gumbel variate. The half keeps the uniform strictly inside (0, 1). */
function gumbelFromWord(word: number): number {
  return -Math.log(-Math.log((word + 0.5) / WORD_RANGE));
}

function seedWords(seed: bigint): [low: number, high: number] {
  return [Number(seed & 0xffffffffn), Number((seed >> 32n) & 0xffffffffn)];
}

/** Fills `out[tokenId]` for every token id below `out.length`. */
export function fillGumbelNoise(out: Float64Array, seed: bigint, choice: number, position: number): void {
  const [low, high] = seedWords(seed);
  for (let first = 0; first < out.length; first += 4) {
    philox4x32(first >>> 2, position, choice, 0, low, high, words);
    const numWords = Math.min(4, out.length - first);
    for (let word = 0; word < numWords; word++) out[first + word] = gumbelFromWord(words[word] ?? 0);
  }
}

/** The noise of one token id: the same number that `fillGumbelNoise` writes. */
export function gumbelNoise(seed: bigint, choice: number, position: number, tokenId: number): number {
  const [low, high] = seedWords(seed);
  philox4x32(tokenId >>> 2, position, choice, 0, low, high, words);
  return gumbelFromWord(words[tokenId & 3] ?? 0);
}

/** Noise by position for one sequence choice: each position is computed once and shared by the rows predicting it. */
export class NoiseCache {
  readonly #seed: bigint;
  readonly #choice: number;
  readonly #vocabSize: number;
  readonly #byPosition = new Map<number, Float64Array>();
  readonly #free: Float64Array[] = [];

  constructor(seed: bigint, choice: number, vocabSize: number) {
    this.#seed = seed;
    this.#choice = choice;
    this.#vocabSize = vocabSize;
  }

  /** [vocab] noise for the token at `position`; valid until `release` passes that position. */
  at(position: number): Float64Array {
    const known = this.#byPosition.get(position);
    if (known !== undefined) return known;
    const noise = this.#free.pop() ?? new Float64Array(this.#vocabSize);
    fillGumbelNoise(noise, this.#seed, this.#choice, position);
    this.#byPosition.set(position, noise);
    return noise;
  }

  /** Positions below `position` are decided: their buffers are used again. */
  release(position: number): void {
    for (const [known, noise] of this.#byPosition) {
      if (known >= position) continue;
      this.#byPosition.delete(known);
      this.#free.push(noise);
    }
  }
}
