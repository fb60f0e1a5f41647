import type { TokenLogprob } from '@tidar/shared/protocol.ts';

/** The log-probabilities of a text's tokens, with where each token ends in it. */
export class Scores {
  readonly #all: TokenLogprob[] = [];
  /** Of a part of a character: after the character. */
  readonly #ends: number[] = [];
  readonly #decoder = new TextDecoder('utf-8', { fatal: false, ignoreBOM: true });
  #numDecoded = 0;
  #numTaken = 0;

  add(logprobs: readonly TokenLogprob[]): void {
    for (const logprob of logprobs) {
      const text = this.#decoder.decode(Uint8Array.from(logprob.bytes ?? []), { stream: true });
      this.#numDecoded += text.length;
      this.#ends.push(text === '' ? this.#numDecoded + 1 : this.#numDecoded);
      this.#all.push(logprob);
    }
  }

  /** Of the tokens that end after `from` and up to `to`; asked for ever later ones. */
  take(from: number, to: number): TokenLogprob[] {
    const first = this.#countUpTo(from);
    return this.#all.slice(first, this.#countUpTo(to));
  }

  /** Of the tokens that end in the first so many characters. */
  within(numCharacters: number): TokenLogprob[] {
    return this.#all.slice(0, this.#ends.findLastIndex((end) => end <= numCharacters) + 1);
  }

  #countUpTo(numCharacters: number): number {
    while ((this.#ends[this.#numTaken] ?? Infinity) <= numCharacters) this.#numTaken += 1;
    return this.#numTaken;
  }
}
