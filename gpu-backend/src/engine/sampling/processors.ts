import { TidarError } from '@tidar/shared/errors.ts';
import { REMOVED } from './row.ts';
import { hasPenalties } from './settings.ts';
import type { Sampling } from './settings.ts';
import type { GrammarState } from '../grammar/grammar-state.ts';
import { TokenHistory } from './token-history.ts';

export interface ProcessorOptions {
  readonly sampling: Sampling;
  readonly vocabSize: number;
  readonly promptIds: readonly number[];
  readonly committedIds: readonly number[];
  readonly endTokenIds: ReadonlySet<number>;
  readonly grammar?: GrammarState | undefined;
}

/**
 * What changes single tokens' logits before temperature: bias → penalties → grammar and min tokens, evaluated on the
 * tokens so far. The same numbers come out of `apply` for a whole row and of `process` for one token.
 */
export class Processors {
  readonly #sampling: Sampling;
  readonly #vocabSize: number;
  readonly #endTokenIds: ReadonlySet<number>;
  readonly #grammar: GrammarState | undefined;
  readonly #biases: ReadonlyMap<number, number>;
  readonly #history: TokenHistory | undefined;
  readonly #candidateIds = new Set<number>();
  /** Whether a token's logit can become higher than it was. */
  readonly canRaise: boolean;
  #numCompletionTokens = 0;
  /** The last so many tokens were not shown to the grammar: it had refused the first of them, or that was an end. */
  #numBeyondGrammar = 0;
  #allowed: Int32Array | undefined;
  #isEndForbidden = false;

  constructor({ sampling, vocabSize, promptIds, committedIds, endTokenIds, grammar }: ProcessorOptions) {
    this.#sampling = sampling;
    this.#vocabSize = vocabSize;
    this.#endTokenIds = endTokenIds;
    this.#grammar = grammar;
    this.#biases = new Map(sampling.logitBias.filter(([tokenId]) => tokenId < vocabSize));
    this.#history = hasPenalties(sampling) ? new TokenHistory(promptIds) : undefined;
    this.canRaise =
      sampling.presencePenalty < 0 ||
      sampling.frequencyPenalty < 0 ||
      sampling.repetitionPenalty < 1 ||
      sampling.logitBias.some(([, bias]) => bias > 0);
    for (const tokenId of committedIds)
      if (!this.push(tokenId))
        throw new TidarError('invalid_request', 'The tokens to go on from do not fit the requested format.');
  }

  /** Returns false where the grammar refuses the token; it is pushed all the same, and nothing after it is judged. */
  push(tokenId: number): boolean {
    this.#numCompletionTokens += 1;
    this.#history?.push(tokenId);
    if (this.#grammar === undefined) return true;
    const isBeyond = this.#numBeyondGrammar > 0 || this.#endTokenIds.has(tokenId);
    if (!isBeyond && this.#grammar.accept(tokenId)) return true;
    this.#numBeyondGrammar += 1;
    return isBeyond;
  }

  pop(numTokens: number): void {
    if (numTokens > this.#numCompletionTokens) throw new RangeError('more tokens taken back than pushed');
    this.#numCompletionTokens -= numTokens;
    for (let token = 0; token < numTokens; token++) this.#history?.pop();
    const numBeyond = Math.min(numTokens, this.#numBeyondGrammar);
    this.#numBeyondGrammar -= numBeyond;
    if (numTokens > numBeyond) this.#grammar?.rollback(numTokens - numBeyond);
  }

  /** Whether every row so far and to come is left as it is. */
  get areOff(): boolean {
    return (
      this.#biases.size === 0 &&
      this.#history === undefined &&
      this.#grammar === undefined &&
      this.#numCompletionTokens >= this.#sampling.minTokens
    );
  }

  /** Looks up what holds for the next row; `apply`, `process` and the others then speak of that row. */
  prepare(numTokensBefore = this.#numCompletionTokens): void {
    const grammar = this.#numBeyondGrammar === 0 ? this.#grammar : undefined;
    this.#allowed = grammar?.allowed();
    // Where a grammar leaves nothing but an end, the end is right however few tokens there are.
    this.#isEndForbidden = numTokensBefore < this.#sampling.minTokens && !this.#mustEnd();
  }

  /** Whether the prepared row is left as it is. */
  get keepRow(): boolean {
    return (
      this.#biases.size === 0 &&
      this.#history === undefined &&
      this.#allowed === undefined &&
      !this.#isEndForbidden
    );
  }

  /** All of a row, in place. */
  apply(scores: Float64Array): void {
    for (const [tokenId, bias] of this.#biases) scores[tokenId] = (scores[tokenId] ?? REMOVED) + bias;
    if (this.#history !== undefined)
      for (const tokenId of this.#history.tokenIds)
        if (tokenId < scores.length) scores[tokenId] = this.#penalize(tokenId, scores[tokenId] ?? REMOVED);
    if (this.#allowed !== undefined) keepAllowed(scores, this.#allowed);
    if (this.#isEndForbidden)
      for (const tokenId of this.#endTokenIds) if (tokenId < scores.length) scores[tokenId] = REMOVED;
  }

  /** One token's logit. */
  process(tokenId: number, logit: number): number {
    if (this.#allowed !== undefined && !isAllowed(this.#allowed, tokenId)) return REMOVED;
    if (this.#isEndForbidden && this.#endTokenIds.has(tokenId)) return REMOVED;
    const bias = this.#biases.size === 0 ? undefined : this.#biases.get(tokenId);
    const biased = bias === undefined ? logit : logit + bias;
    return this.#history === undefined ? biased : this.#penalize(tokenId, biased);
  }

  /**
   * The highest score that a token outside of the candidates can have, its logit being `lowest` (the lowest
   * candidate's) at most; -Infinity where none of them can be drawn. Every step of `process` is monotonic.
   */
  outsideBound(candidateIds: Int32Array, lowest: number): number {
    if (candidateIds.length >= this.#vocabSize) return REMOVED;
    if (this.#allowed !== undefined && this.#areAllAllowedIn(candidateIds, this.#allowed)) return REMOVED;
    if (!this.canRaise) return lowest;
    const inside = this.#candidateIds;
    inside.clear();
    for (const tokenId of candidateIds) inside.add(tokenId);
    let bound = lowest;
    const raise = (tokenId: number): void => {
      if (!inside.has(tokenId)) bound = Math.max(bound, this.process(tokenId, lowest));
    };
    for (const tokenId of this.#biases.keys()) raise(tokenId);
    for (const tokenId of this.#history?.tokenIds ?? []) raise(tokenId);
    return bound;
  }

  /** Whether the prepared row's grammar allows end tokens only: the model's own, or those that the request names. */
  #mustEnd(): boolean {
    if (this.#allowed === undefined) return false;
    for (let at = 0; at < this.#allowed.length; at++) {
      for (let bits = this.#allowed[at] ?? 0; bits !== 0; bits &= bits - 1) {
        const tokenId = 32 * at + 31 - Math.clz32(bits & -bits);
        if (tokenId < this.#vocabSize && !this.#endTokenIds.has(tokenId)) return false;
      }
    }
    return true;
  }

  #penalize(tokenId: number, score: number): number {
    const count = this.#history?.count(tokenId) ?? -1;
    if (count < 0) return score;
    const { presencePenalty, frequencyPenalty, repetitionPenalty } = this.#sampling;
    const repeated = score > 0 ? score / repetitionPenalty : score * repetitionPenalty;
    return count === 0 ? repeated : repeated - frequencyPenalty * count - presencePenalty;
  }

  #areAllAllowedIn(candidateIds: Int32Array, allowed: Int32Array): boolean {
    let numLeft = 0;
    for (const tokenId of candidateIds) if (isAllowed(allowed, tokenId)) numLeft += 1;
    const numWords = this.#vocabSize >>> 5;
    for (let at = 0; at < numWords && numLeft >= 0; at++) numLeft -= countBits(allowed[at] ?? 0);
    const rest = this.#vocabSize & 31;
    if (rest > 0) numLeft -= countBits((allowed[numWords] ?? 0) & ((1 << rest) - 1));
    return numLeft === 0;
  }
}

function isAllowed(allowed: Int32Array, tokenId: number): boolean {
  return (((allowed[tokenId >> 5] ?? 0) >>> (tokenId & 31)) & 1) === 1;
}

function keepAllowed(scores: Float64Array, allowed: Int32Array): void {
  for (let first = 0; first < scores.length; first += 32) {
    const bits = allowed[first >> 5] ?? 0;
    if (bits === -1) continue;
    if (bits === 0) scores.fill(REMOVED, first, first + 32);
    else
      for (let id = first; id < first + 32 && id < scores.length; id++)
        if (((bits >>> (id & 31)) & 1) === 0) scores[id] = REMOVED;
  }
}

function countBits(bits: number): number {
  const pairs = bits - ((bits >>> 1) & 0x55555555);
  const nibbles = (pairs & 0x33333333) + ((pairs >>> 2) & 0x33333333);
  return Math.imul((nibbles + (nibbles >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}
