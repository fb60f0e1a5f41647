import { TidarError } from '@tidar/shared/errors.ts';
import { KeyedNoise } from '@tidar/shared/noise.ts';
import type { RowCandidates } from '../../device/device.ts';
import { BestTwo } from './best-two.ts';
import { drawFromCandidates } from './candidate-row.ts';
import { drawFromFullRow } from './full-row.ts';
import type { RowContext } from './full-row.ts';
import type { GrammarState } from '../grammar/grammar-state.ts';
import { Processors } from './processors.ts';
import { isGreedy } from './settings.ts';
import type { Draw, LogitsRow, Sampling } from './settings.ts';

export interface TokenDrawerOptions {
  readonly sampling: Sampling;
  /** Which of a request's n texts. */
  readonly choice: number;
  readonly vocabSize: number;
  readonly promptIds: readonly number[];
  /** Tokens of the completion that an earlier run decided; the grammar is taken past them here. */
  readonly committedIds: readonly number[];
  /** Impossible before the completion holds `minTokens` tokens. */
  readonly endTokenIds: ReadonlySet<number>;
  readonly grammar?: GrammarState | undefined;
}

/** What one choice's tokens are drawn with, evaluated on prompt, committed and the tokens pushed so far. */
export class TokenDrawer {
  readonly #context: RowContext;
  readonly #vocabSize: number;
  readonly #winners = new BestTwo();
  readonly #result = { best: -1, secondBest: -1, margin: 0 };

  constructor(options: TokenDrawerOptions) {
    const { sampling, choice, vocabSize } = options;
    const noise = new KeyedNoise(sampling.seed, choice, vocabSize);
    this.#context = { sampling, noise, processors: new Processors(options) };
    this.#vocabSize = vocabSize;
  }

  /** Candidates worth having of each row; Infinity: as many as the device gives. */
  get numCandidatesWanted(): number {
    return isGreedy(this.#context.sampling) && this.#context.processors.areOff ? 2 : Infinity;
  }

  /**
   * The keyed draw for the token at absolute `position`. The result is one object, valid until the next draw.
   * `numTokensBefore`, of the completion: where others than those before it were pushed.
   */
  draw(row: LogitsRow, position: number, numTokensBefore?: number): Draw {
    const { candidates } = row;
    this.#context.processors.prepare(numTokensBefore);
    if (candidates === undefined || this.#drawFrom(candidates, position)) this.#drawFromAll(row, position);
    return this.#publish();
  }

  /** The draw for a draft, which only has to be likely: the whole row is read only if no candidate is left. */
  propose(row: LogitsRow, position: number): Draw {
    const { candidates } = row;
    this.#context.processors.prepare();
    if (candidates !== undefined) this.#drawFrom(candidates, position);
    if (candidates === undefined || this.#winners.best < 0) this.#drawFromAll(row, position);
    return this.#publish();
  }

  /**
   * The text goes on by one token: decided, or a draft that is assumed. Returns false where the grammar refuses it:
   * such a draft cannot be accepted, and nor can what follows it.
   */
  push(tokenId: number): boolean {
    return this.#context.processors.push(tokenId);
  }

  /** Takes back the last pushed tokens. */
  pop(numTokens: number): void {
    this.#context.processors.pop(numTokens);
  }

  /** Noise of positions below is done with. */
  release(position: number): void {
    this.#context.noise.release(position);
  }

  #drawFrom(candidates: RowCandidates, position: number): boolean {
    return drawFromCandidates(candidates, this.#vocabSize, position, this.#context, this.#winners);
  }

  #drawFromAll(row: LogitsRow, position: number): void {
    drawFromFullRow(row.full(), position, this.#context, this.#winners);
  }

  #publish(): Draw {
    const { best, secondBest, bestScore, secondScore } = this.#winners;
    if (best < 0) throw noneLeft();
    this.#result.best = best;
    this.#result.secondBest = secondBest;
    this.#result.margin = secondBest < 0 ? Infinity : bestScore - secondScore;
    return this.#result;
  }
}

/** A grammar that wants what the vocabulary cannot spell, or one that has ended where the text must not end yet. */
function noneLeft(): TidarError {
  const message =
    'No token can follow here: the form that the text must have, the tokens that end it, min_tokens and the vocabulary ' +
    'of the model together leave none. Give it a wider form.';
  return new TidarError('invalid_request', message, { param: 'grammar' });
}
