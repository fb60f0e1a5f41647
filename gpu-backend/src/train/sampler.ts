import { Random } from '../data/random.ts';
import { randomMaskShares } from './masking.ts';
import type { TrainingSettings } from './settings.ts';
import type { TokenText } from './token-text.ts';

/**
 * Which sequences a step sees, as a pure function of the settings and the step: an interrupted run resumes on
 * exactly the data that an unbroken one would have seen. Each epoch visits every stretch of the file once, in
 * an order of its own; a sequence starts where a document starts.
 */
export class SequenceSampler {
  readonly #file: TokenText;
  readonly #settings: TrainingSettings;
  readonly #starts: Uint32Array;
  #epoch = -1;
  #order = new Uint32Array(0);

  /** Throws RangeError for a file that is shorter than one sequence. */
  constructor(file: TokenText, settings: TrainingSettings) {
    this.#file = file;
    this.#settings = settings;
    this.#starts = sequenceStarts(file, settings.numTokens);
    if (this.#starts.length === 0) {
      throw new RangeError(
        `the token file holds ${file.ids.length} tokens; one sequence needs ${settings.numTokens} from a document's start`,
      );
    }
  }

  /** The batch of a step: `batchSize` views of `numTokens` ids. */
  batchAt(step: number): (Uint16Array | Uint32Array)[] {
    const { batchSize } = this.#settings;
    return Array.from({ length: batchSize }, (_, index) => this.#sequence(step * batchSize + index));
  }

  /** The block size of a step's mask half. */
  blockSizeAt(step: number): number {
    const { blockSizes, seed } = this.#settings;
    return new Random(seed * 7919 + step).pick(blockSizes);
  }

  /** Where a step's blocks begin: their starts are this plus multiples of the block size. */
  blockOffsetAt(step: number): number {
    const { blockStarts, seed } = this.#settings;
    if (blockStarts === 'aligned') return 0;
    return new Random(seed * 15485863 + step).integer(0, this.blockSizeAt(step) - 1);
  }

  /** Which tokens of a step's sequences are masked and how much they count; undefined: all alike. */
  maskSharesAt(step: number): ((index: number) => Float32Array) | undefined {
    const { batchSize, maskStyle, numTokens, seed } = this.#settings;
    if (maskStyle === 'full') return undefined;
    const layout = { blockSize: this.blockSizeAt(step), blockOffset: this.blockOffsetAt(step) };
    return (index) =>
      randomMaskShares(new Random(seed * 32452843 + step * batchSize + index), numTokens, layout);
  }

  #sequence(index: number): Uint16Array | Uint32Array {
    const epoch = Math.floor(index / this.#starts.length);
    if (epoch !== this.#epoch) this.#shuffle(epoch);
    const start = this.#starts[this.#order[index % this.#starts.length] ?? 0] ?? 0;
    return this.#file.ids.subarray(start, start + this.#settings.numTokens);
  }

  #shuffle(epoch: number): void {
    const order = Array.from(this.#starts, (_, index) => index);
    this.#order = Uint32Array.from(new Random(this.#settings.seed * 104729 + epoch).shuffle(order));
    this.#epoch = epoch;
  }
}

/**
 * For every stretch of `numTokens`, the first document start in it from which a whole sequence fits; where a document
 * is longer than the stretch, its middle is read from where the stretch begins.
 */
function sequenceStarts({ ids, documentStarts }: TokenText, numTokens: number): Uint32Array {
  const starts: number[] = [];
  let document = 0;
  for (let stretch = 0; stretch + numTokens <= ids.length; stretch += numTokens) {
    while ((documentStarts[document] ?? Infinity) < stretch) document += 1;
    const next = documentStarts[document] ?? Infinity;
    const start = next < stretch + numTokens ? next : stretch;
    if (start + numTokens <= ids.length) starts.push(start);
  }
  return Uint32Array.from(starts);
}
