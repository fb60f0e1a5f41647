import type { GrammarState } from '../grammar-state.ts';
import type { MatcherHandle, Xgrammar } from './xgrammar.ts';

export class XgrammarState implements GrammarState {
  readonly #xgrammar: Xgrammar;
  readonly #mask: Int32Array;
  #matcher: MatcherHandle | undefined;
  #numAccepted = 0;
  #isEnded = false;
  #isMaskCurrent = false;

  constructor(xgrammar: Xgrammar, matcher: MatcherHandle) {
    this.#xgrammar = xgrammar;
    this.#matcher = matcher;
    this.#mask = new Int32Array(Math.ceil(xgrammar.vocabulary.size / 32));
  }

  allowed(): Int32Array {
    if (this.#isMaskCurrent) return this.#mask;
    // After the end xgrammar would abort on this question.
    if (this.#isEnded) this.#mask.fill(0);
    else this.#xgrammar.writeMask(this.#open(), this.#mask);
    this.#isMaskCurrent = true;
    return this.#mask;
  }

  accept(tokenId: number): boolean {
    const matcher = this.#open();
    const { endTokenIds, bytesOf } = this.#xgrammar.vocabulary;
    const isEnd = endTokenIds.includes(tokenId);
    if (this.#isEnded || (!isEnd && bytesOf(tokenId) === undefined)) return false;
    if (!this.#xgrammar.call(() => matcher.AcceptToken(tokenId, false))) return false;
    this.#numAccepted += 1;
    this.#isEnded = isEnd;
    this.#isMaskCurrent = false;
    return true;
  }

  rollback(numTokens: number): void {
    const matcher = this.#open();
    const isPossible = Number.isInteger(numTokens) && numTokens >= 0 && numTokens <= this.#numAccepted;
    if (!isPossible) {
      throw new RangeError(`can't take back ${numTokens} of ${this.#numAccepted} tokens of a grammar`);
    }
    if (numTokens === 0) return;
    this.#xgrammar.call(() => matcher.Rollback(numTokens));
    this.#numAccepted -= numTokens;
    this.#isEnded = false;
    this.#isMaskCurrent = false;
  }

  dispose(): void {
    const matcher = this.#matcher;
    this.#matcher = undefined;
    if (matcher !== undefined && !this.#xgrammar.isDead) this.#xgrammar.call(() => matcher.delete());
  }

  #open(): MatcherHandle {
    if (this.#matcher === undefined) throw new Error('a disposed grammar state was used');
    return this.#matcher;
  }
}
