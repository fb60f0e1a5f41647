import { BoundArray } from './bound-array.ts';
import type { ForwardBatch, ForwardOutput, RowCandidates } from './device.ts';

/** What a run writes, in arrays that the next run writes again. */
export class StepOutputs implements ForwardOutput {
  readonly #vocabSize: number;
  readonly #hasCandidates: boolean;
  readonly #logits = new BoundArray('logits', 'float32');
  readonly #scores = new BoundArray('candidate_scores', 'float32');
  readonly #tokenIds = new BoundArray('candidate_ids', 'int32');
  readonly #logSumExp = new BoundArray('log_sum_exp', 'float32');
  #numRows = 0;
  #numCandidates = 0;
  readonly all: readonly BoundArray[];

  constructor(vocabSize: number, hasCandidates: boolean) {
    this.#vocabSize = vocabSize;
    this.#hasCandidates = hasCandidates;
    this.all = [this.#logits, ...(hasCandidates ? [this.#scores, this.#tokenIds, this.#logSumExp] : [])];
  }

  resize({ numLogitRows, numCandidates }: ForwardBatch): void {
    this.#numRows = numLogitRows;
    this.#numCandidates = numCandidates;
    this.#logits.resize([numLogitRows, this.#vocabSize]);
    if (!this.#hasCandidates) return;
    this.#scores.resize([numLogitRows, numCandidates]);
    this.#tokenIds.resize([numLogitRows, numCandidates]);
    this.#logSumExp.resize([numLogitRows, 1]);
  }

  logits(index: number): Float32Array {
    this.#checkIndex(index);
    return this.#logits.data.subarray(index * this.#vocabSize, (index + 1) * this.#vocabSize);
  }

  candidates(index: number): RowCandidates | undefined {
    this.#checkIndex(index);
    if (!this.#hasCandidates) return undefined;
    const start = index * this.#numCandidates;
    const end = start + this.#numCandidates;
    return {
      scores: this.#scores.data.subarray(start, end),
      tokenIds: this.#tokenIds.data.subarray(start, end),
      logSumExp: this.#logSumExp.data[index] ?? Number.NaN,
    };
  }

  #checkIndex(index: number): void {
    if (index < 0 || index >= this.#numRows) throw new RangeError(`logit row ${index} of ${this.#numRows}`);
  }
}
