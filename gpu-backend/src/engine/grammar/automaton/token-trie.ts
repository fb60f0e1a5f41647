import type { Vocabulary } from '../vocabulary.ts';
import { grammarBytes } from '../vocabulary.ts';
import type { Automaton, AutomatonState } from './automaton.ts';

/** The tokens of a vocabulary in the order of their bytes, so that what they share is read once. */
export class TokenTrie {
  readonly vocabulary: Vocabulary;
  readonly #tokenIds: Int32Array;
  /** Bytes of the i-th token: [starts[i], starts[i + 1]). */
  readonly #starts: Int32Array;
  readonly #bytes: Uint8Array;
  /** How many bytes it shares with the token before it. */
  readonly #numShared: Int32Array;
  /** The first token after it with another first byte. */
  readonly #groupEnds: Int32Array;
  readonly #longest: number;

  constructor(vocabulary: Vocabulary) {
    this.vocabulary = vocabulary;
    const tokens: { id: number; bytes: Uint8Array; key: string }[] = [];
    for (let id = 0; id < vocabulary.size; id++) {
      const bytes = vocabulary.endTokenIds.includes(id) ? undefined : grammarBytes(vocabulary, id);
      if (bytes === undefined) continue;
      tokens.push({ id, bytes, key: Buffer.from(bytes).toString('latin1') }); // strings compare faster than bytes
    }
    tokens.sort((a, b) => (a.key < b.key ? -1 : Number(a.key > b.key)));
    this.#tokenIds = Int32Array.from(tokens, ({ id }) => id);
    this.#starts = new Int32Array(tokens.length + 1);
    tokens.forEach(({ bytes }, i) => (this.#starts[i + 1] = (this.#starts[i] ?? 0) + bytes.length));
    this.#bytes = new Uint8Array(this.#starts.at(-1) ?? 0);
    tokens.forEach(({ bytes }, i) => this.#bytes.set(bytes, this.#starts[i]));
    this.#numShared = Int32Array.from(tokens, ({ bytes }, i) => sharedLength(tokens[i - 1]?.bytes, bytes));
    this.#groupEnds = new Int32Array(tokens.length);
    for (let i = tokens.length - 1; i >= 0; i--) {
      const isLast = (this.#numShared[i + 1] ?? 0) === 0;
      this.#groupEnds[i] = isLast ? i + 1 : (this.#groupEnds[i + 1] ?? 0);
    }
    this.#longest = tokens.reduce((longest, { bytes }) => Math.max(longest, bytes.length), 0);
  }

  /** One bit a token id: whether the automaton can read the token's bytes from this state on. */
  mask(automaton: Automaton, state: AutomatonState): Int32Array {
    const { size, endTokenIds } = this.vocabulary;
    const mask = new Int32Array(Math.ceil(size / 32));
    this.#markTokens(automaton, state, mask);
    if (state.canEnd) for (const id of endTokenIds) setBit(mask, id);
    return mask;
  }

  #markTokens(automaton: Automaton, state: AutomatonState, mask: Int32Array): void {
    const path = Array.from({ length: this.#longest + 1 }, () => state); // path[n]: after n bytes
    const bytes = this.#bytes;
    const numTokens = this.#tokenIds.length;
    let numRead = 0; // bytes of the last token that were legal
    for (let i = 0; i < numTokens; i++) {
      const numShared = this.#numShared[i] ?? 0;
      if (numShared > numRead) continue; // it shares the byte that was illegal
      const start = this.#starts[i] ?? 0;
      const length = (this.#starts[i + 1] ?? 0) - start;
      let at = path[numShared] ?? state;
      for (numRead = numShared; numRead < length; numRead++) {
        const next = automaton.step(at, bytes[start + numRead] ?? 0);
        if (next === null) break;
        path[numRead + 1] = at = next;
      }
      if (numRead === length) setBit(mask, this.#tokenIds[i] ?? 0);
      else if (numRead === 0) i = (this.#groupEnds[i] ?? numTokens) - 1; // none of its first byte is legal
    }
  }
}

function setBit(mask: Int32Array, id: number): void {
  mask[id >> 5] = (mask[id >> 5] ?? 0) | (1 << (id & 31));
}

function sharedLength(a: Uint8Array | undefined, b: Uint8Array): number {
  let length = 0;
  while (a !== undefined && length < a.length && length < b.length && a[length] === b[length]) length++;
  return length;
}
