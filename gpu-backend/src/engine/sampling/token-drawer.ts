import { KeyedNoise } from '@tidar/shared/noise.ts';
import { TidarError } from '@tidar/shared/errors.ts';
import { BestTwo } from './best-two.ts';
import { drawFromFullRow } from './full-row.ts';
import type { GrammarState } from './grammar-state.ts';
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
  readonly #sampling: Sampling;
  readonly #noise: KeyedNoise;
  readonly #processors: Processors;
  readonly #result = new BestTwo();

  constructor(options: TokenDrawerOptions) {
    this.#sampling = options.sampling;
    this.#noise = new KeyedNoise(options.sampling.seed, options.choice, options.vocabSize);
    this.#processors = new Processors(options);
  }

  /** Candidates worth having of each row; Infinity: as many as the device gives. */
  get numCandidatesWanted(): number {
    return isGreedy(this.#sampling) && this.#processors.areOff ? 2 : Infinity;
  }

  /** The keyed draw for the token at absolute `position`. The result is one object, valid until the next draw. */
  draw(row: LogitsRow, position: number): Draw {
    this.#processors.prepare();
    const context = { sampling: this.#sampling, noise: this.#noise, processors: this.#processors };
    drawFromFullRow(row.full(), position, context, this.#result);
    if (this.#result.best < 0)
      throw new TidarError('internal', 'No token can follow: the constraints on the output exclude all.');
    return this.#result;
  }

  /** The draw for a draft, which only has to be likely: the full row is not read for it if any candidate is left. */
  propose(row: LogitsRow, position: number): Draw {
    return this.draw(row, position);
  }

  /** The text goes on by one token: decided, or a draft that is assumed. */
  push(tokenId: number): void {
    this.#processors.push(tokenId);
  }

  /** Takes back the last pushed tokens. */
  pop(numTokens: number): void {
    this.#processors.pop(numTokens);
  }

  /** Noise of positions below is done with. */
  release(position: number): void {
    this.#noise.release(position);
  }
}
