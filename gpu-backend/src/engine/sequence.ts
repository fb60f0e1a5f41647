import { NoiseCache } from '@tidar/shared/noise.ts';
import type { KvCache } from '../device/device.ts';
import { Sampler } from './sample.ts';
import type { Candidates, Row, Sampling } from './sample.ts';

/** One drafted token with the runner-up of the same keyed draw, which is a likely correction (-1: there is none). */
export interface Draft {
  readonly tokenId: number;
  readonly secondBest: number;
}

export type FinishReason = 'stop' | 'length';

export interface SequenceOptions {
  readonly promptIds: readonly number[];
  /** Tokens that an earlier run of the same request decided; they count towards `maxTokens`. */
  readonly committedIds?: readonly number[];
  readonly maxTokens: number;
  readonly stopTokenIds: ReadonlySet<number>;
  readonly sampling: Sampling;
  readonly choice?: number;
  /** Trust in the causal rows; 1 gives the text of plain autoregression. */
  readonly beta: number;
}

/**
 * State between steps. `tokenIds` are the prompt and every decided token; of them, cache columns
 * [0, numCommitted) hold exact keys and values. Between steps exactly one token, the last decided one, is not
 * committed yet; before the first step all are pending. Columns from numCommitted on are scratch.
 */
export class Sequence {
  readonly tokenIds: number[];
  readonly numPromptTokens: number;
  readonly options: SequenceOptions;
  /** Owned by whoever made it; the sequence grows it. */
  readonly cache: KvCache;
  /** drafts[i] is proposed for position tokenIds.length + i. */
  drafts: readonly Draft[] = [];
  numCommitted = 0;
  /** Block length of the dense plan that beta below 1 is bound to; 0 before the first step. */
  trustDraftLength = 0;
  finishReason: FinishReason | undefined;
  readonly #noise: NoiseCache;
  readonly #sampler: Sampler;

  constructor(options: SequenceOptions, cache: KvCache, vocabSize: number) {
    const { promptIds, committedIds = [], sampling, choice = 0 } = options;
    this.options = options;
    this.cache = cache;
    this.tokenIds = [...promptIds, ...committedIds];
    this.numPromptTokens = promptIds.length;
    this.#sampler = new Sampler(vocabSize);
    this.#noise = new NoiseCache(sampling.seed, choice, vocabSize);
    if (committedIds.length > 0)
      this.finishReason = this.finishAfter(this.tokenIds.at(-1), committedIds.length);
  }

  get numCompletionTokens(): number {
    return this.tokenIds.length - this.numPromptTokens;
  }

  get numRemainingTokens(): number {
    return this.options.maxTokens - this.numCompletionTokens;
  }

  /** Tokens that are known but not in the cache yet; the last of them is draft row 1. */
  get pendingTokenIds(): readonly number[] {
    return this.tokenIds.slice(this.numCommitted);
  }

  get draftTokenIds(): readonly number[] {
    return this.drafts.map((draft) => draft.tokenId);
  }

  /** The keyed draw for the token at `position`: verify and draft rows that predict it share its noise. */
  draw(logits: Row, position: number): Candidates {
    return this.#sampler.sample(logits, this.options.sampling, () => this.#noise.at(position));
  }

  /** Takes the tokens that a step decided; the columns of all but the last hold their exact keys and values. */
  commit(decided: readonly number[], drafts: readonly Draft[]): void {
    this.tokenIds.push(...decided);
    this.numCommitted = this.tokenIds.length - 1;
    this.drafts = drafts;
    this.#noise.release(this.tokenIds.length);
  }

  /** Whether a completion whose token number `numCompletionTokens` is `tokenId` ends there, and why. */
  finishAfter(tokenId: number | undefined, numCompletionTokens: number): FinishReason | undefined {
    if (tokenId !== undefined && this.options.stopTokenIds.has(tokenId)) return 'stop';
    return numCompletionTokens >= this.options.maxTokens ? 'length' : undefined;
  }
}
