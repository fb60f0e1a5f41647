import { fillPhilox } from './philox-simd.ts';
import { philox4x32 } from './philox.ts';

/**
 * Gumbel noise as a pure function of (seed, choice, position of the predicted token, token id).
 * `argmax(score + noise)` draws from softmax(score); because draft and verify rows that predict the same position
 * share the noise, the text does not depend on how the tokens were drafted.
 *
 * Counter: (token id / 4, position, choice, 0); key: the seed's low and high word; word of the four: token id mod 4.
 * The words are cheap, the two logarithms that make noise of one are not: who wants the highest sum only takes them
 * for tokens that `noiseCeiling` does not rule out.
 */

const WORD_RANGE = 2 ** 32;
const NUM_CEILING_BITS = 10;
/** More than two logarithms' last bits. */
const LOGARITHM_ERROR = 1e-9;
const words = new Uint32Array(4);

/** A 32-bit word to a Gumbel variate, rising with it. The half keeps the uniform strictly inside (0, 1). */
export function gumbelFromWord(word: number): number {
  return -Math.log(-Math.log((word + 0.5) / WORD_RANGE));
}

/** No noise is higher: 22.87. */
export const HIGHEST_NOISE = gumbelFromWord(WORD_RANGE - 1);

// By a word's upper bits, the noise of the highest such word.
const ceilings = Float64Array.from(
  { length: 1 << NUM_CEILING_BITS },
  (_, bits) => gumbelFromWord((bits + 1) * 2 ** (32 - NUM_CEILING_BITS) - 1) + LOGARITHM_ERROR,
);

/** At least the noise of a word, without logarithms. */
export function noiseCeiling(word: number): number {
  return ceilings[word >>> (32 - NUM_CEILING_BITS)] ?? HIGHEST_NOISE;
}

function seedWords(seed: bigint): [low: number, high: number] {
  return [Number(seed & 0xffffffffn), Number((seed >> 32n) & 0xffffffffn)];
}

/** Fills `out[tokenId]` for every token id below `out.length`. */
export function fillGumbelNoise(out: Float64Array, seed: bigint, choice: number, position: number): void {
  const noise = new KeyedNoise(seed, choice, out.length);
  const filled = noise.words(position);
  for (let id = 0; id < out.length; id++) out[id] = gumbelFromWord(filled[id] ?? 0);
}

/** The noise of one token id: the same number that `fillGumbelNoise` writes. */
export function gumbelNoise(seed: bigint, choice: number, position: number, tokenId: number): number {
  return new KeyedNoise(seed, choice, 0).at(position, tokenId);
}

/** Bytes of words that one choice keeps, or one position if that takes more. */
const MAX_KEPT_BYTES = 1 << 18;

interface Filled {
  /** [vocab] */
  readonly words: Uint32Array;
  /** -1 until somebody asks. */
  highestWord: number;
}

/**
 * The noise of one choice of a request. A position's words are computed when a whole row asks for them and shared by
 * the rows that predict it; few tokens' noise is computed by itself.
 */
export class KeyedNoise {
  readonly #low: number;
  readonly #high: number;
  readonly #choice: number;
  readonly #vocabSize: number;
  readonly #maxKept: number;
  readonly #byPosition = new Map<number, Filled>();
  readonly #free: Filled[] = [];

  constructor(seed: bigint, choice: number, vocabSize: number) {
    [this.#low, this.#high] = seedWords(seed);
    this.#choice = choice;
    this.#vocabSize = vocabSize;
    this.#maxKept = Math.max(1, Math.floor(MAX_KEPT_BYTES / (4 * vocabSize)));
  }

  /** One token's noise. */
  at(position: number, tokenId: number): number {
    return gumbelFromWord(this.word(position, tokenId));
  }

  /** The word that one token's noise is made of. */
  word(position: number, tokenId: number): number {
    philox4x32(tokenId >>> 2, position, this.#choice, 0, this.#low, this.#high, words);
    return words[tokenId & 3] ?? 0;
  }

  /** [vocab] words of the token at `position`; valid until the next call for another position. */
  words(position: number): Uint32Array {
    return this.#filled(position).words;
  }

  /** At least the noise of every token at `position`. */
  highest(position: number): number {
    const filled = this.#filled(position);
    if (filled.highestWord < 0) filled.highestWord = maximum(filled.words);
    return gumbelFromWord(filled.highestWord) + LOGARITHM_ERROR;
  }

  /** Positions below `position` are decided: their words are done with. */
  release(position: number): void {
    for (const [known, filled] of this.#byPosition) {
      if (known >= position) continue;
      this.#byPosition.delete(known);
      this.#free.push(filled);
    }
  }

  #filled(position: number): Filled {
    const known = this.#byPosition.get(position);
    if (known !== undefined) return known;
    if (this.#byPosition.size >= this.#maxKept) this.release(1 + Math.min(...this.#byPosition.keys()));
    const filled = this.#free.pop() ?? { words: new Uint32Array(this.#vocabSize), highestWord: -1 };
    filled.highestWord = -1;
    fillPhilox(filled.words, position, this.#choice, this.#low, this.#high);
    this.#byPosition.set(position, filled);
    return filled;
  }
}

function maximum(values: Uint32Array): number {
  let highest = 0;
  for (let at = 0; at < values.length; at++) {
    const value = values[at] ?? 0;
    if (value > highest) highest = value;
  }
  return highest;
}
