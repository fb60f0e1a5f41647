import { BoundArray } from './bound-array.ts';
import type { ForwardBatch, ForwardOutput, RowCandidates } from './device.ts';

/** What a run writes, in arrays that the next run writes again. */
export class StepOutputs implements ForwardOutput {
  readonly #vocabSize: number;
  readonly #hasCandidates: boolean;
  readonly #logits = new BoundArray('logits', 'float32');
  readonly #scores = new BoundArray('candidate_scores', 'float32');
  readonly #tokenIds: BoundArray<'int32' | 'int64'>;
  readonly #logSumExp = new BoundArray('log_sum_exp', 'float32');
  #numRows = 0;
  #numCandidates = 0;
  readonly all: readonly BoundArray[];

  /** `idType`: WebGPU has nothing that narrows the ids that its TopK gives. */
  constructor(vocabSize: number, hasCandidates: boolean, idType: 'int32' | 'int64' = 'int32') {
    this.#vocabSize = vocabSize;
    this.#tokenIds = new BoundArray<'int32' | 'int64'>('candidate_ids', idType);
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
      tokenIds: this.#ids(start, end),
      logSumExp: this.#logSumExp.data[index] ?? Number.NaN,
    };
  }

  /** Of int64, written as pairs, the low words. */
  #ids(start: number, end: number): Int32Array {
    const { data, type } = this.#tokenIds;
    if (type === 'int32') return data.subarray(start, end);
    return Int32Array.from({ length: end - start }, (_, at) => data[2 * (start + at)] ?? -1);
  }

  #checkIndex(index: number): void {
    if (index < 0 || index >= this.#numRows) throw new RangeError(`logit row ${index} of ${this.#numRows}`);
  }
}
