import { fileURLToPath } from 'node:url';
import type { ForwardBatch, KvCache, ModelSession } from '../device/device.ts';
import { openModel } from '../device/open.ts';
import { cacheTensors } from '../device/testing.ts';
import type { ModelConfig } from '../model/config.ts';
import { loadModelFolder } from '../model/folder.ts';
import { BatchPacker } from './batch.ts';

import type { Plan } from './plan.ts';
import { prepare } from './prepare.ts';
import { PLAIN_SAMPLING } from './sampling/settings.ts';
import type { Sampling } from './sampling/settings.ts';
import { Sequence } from './sequence.ts';
import type { SequenceOptions } from './sequence.ts';
import { step } from './step.ts';
import type { StepResult } from './step-result.ts';

/** Helpers of the engine's tests: real models and real sessions, small. */

export const GREEDY: Sampling = PLAIN_SAMPLING;

export const PROMPT = [7, 28, 6, 22, 26, 42, 31, 17, 26];

export function openFixture(name: string): Promise<ModelSession> {
  const path = fileURLToPath(new URL(`../../../test/fixtures/${name}`, import.meta.url));
  return openModel(loadModelFolder(path), { numThreads: 1 });
}

/** The same session, of a model that is configured in another way. */
export function withConfig(session: ModelSession, config: ModelConfig): ModelSession {
  const { numBytesPerColumn, maxCandidates } = session;
  return {
    config,
    numBytesPerColumn,
    maxCandidates,
    createCache: (numSlots, capacity) => session.createCache(numSlots, capacity),
    run: (cache, batch) => session.run(cache, batch),
    dispose: () => session.dispose(),
  };
}

export function sampled(sampling: Partial<Sampling>): Sampling {
  return { ...GREEDY, ...sampling };
}

export function sequenceOptions(options: Partial<SequenceOptions> = {}): SequenceOptions {
  return { promptIds: PROMPT, maxTokens: 24, stopTokenIds: new Set(), sampling: GREEDY, beta: 1, ...options };
}

/** A sequence alone in a cache of its own: the simplest way to take steps. */
export class Alone {
  readonly sequence: Sequence;
  readonly #session: ModelSession;
  readonly #packer = new BatchPacker();
  #cache: KvCache;

  constructor(session: ModelSession, options: Partial<SequenceOptions> = {}) {
    this.#session = session;
    this.sequence = new Sequence(sequenceOptions(options), session.config.vocabSize);
    this.#cache = session.createCache(1, 32);
  }

  get cache(): KvCache {
    return this.#cache;
  }

  async step(plan: Plan): Promise<StepResult> {
    const member = prepare(this.#session.config, this.sequence, plan);
    this.grow(member.numCommitted + Math.max(2, member.layout.numRows));
    const [result] = await step(this.#session, this.#cache, this.#packer, [member]);
    if (result === undefined || result instanceof Error) throw result ?? new Error('no result');
    return result;
  }

  async decode(next: (sequence: Sequence) => Plan): Promise<number[]> {
    while (this.sequence.finishReason === undefined) await this.step(next(this.sequence));
    return this.sequence.tokenIds.slice(this.sequence.numPromptTokens);
  }

  grow(numColumns: number): void {
    if (numColumns <= this.#cache.capacity) return;
    const grown = this.#session.createCache(1, 2 * numColumns);
    this.#cache.copyColumns(0, { start: 0, end: this.sequence.numCommitted }, grown, 0);
    this.#cache.dispose();
    this.#cache = grown;
  }
}

/** One forward pass as the device saw it, of one sequence or many. */
export interface RecordedRun {
  /** Copies of what the batch's buffers held. */
  readonly tokenIds: readonly number[];
  readonly positions: readonly number[];
  readonly writeIndexes: readonly number[];
  readonly numRows: number;
  readonly logitRows: readonly number[];
  readonly capacity: number;
  /** [logitRows][vocab], copies. */
  readonly logits: readonly Float32Array[];
}

/** The same session, with every run written down; `before` may touch the cache first. */
export function recording(
  session: ModelSession,
  before: (cache: KvCache, batch: ForwardBatch) => void = () => undefined,
): { session: ModelSession; runs: RecordedRun[] } {
  const runs: RecordedRun[] = [];
  const recorded: ModelSession = {
    config: session.config,
    numBytesPerColumn: session.numBytesPerColumn,
    maxCandidates: session.maxCandidates,
    createCache: (numSlots, capacity) => session.createCache(numSlots, capacity),
    dispose: () => session.dispose(),
    run: async (cache, batch) => {
      before(cache, batch);
      const output = await session.run(cache, batch);
      const logitRows = [...batch.logitRows.subarray(0, batch.numLogitRows)];
      runs.push({
        tokenIds: [...batch.tokenIds.subarray(0, batch.numRows)],
        positions: [...batch.positions.subarray(0, batch.numRows)],
        writeIndexes: [...batch.writeIndexes.subarray(0, batch.numSlots)],
        numRows: batch.numRows,
        logitRows,
        capacity: cache.capacity,
        logits: logitRows.map((_, index) => output.logits(index).slice()),
      });
      return output;
    },
  };
  return { session: recorded, runs };
}

/** Calls `visit` with every number of a slot's columns [start, end). */
export function forEachCacheNumber(
  session: ModelSession,
  cache: KvCache,
  slot: number,
  [start, end]: readonly [number, number],
  visit: (tensor: Float32Array, index: number) => void,
): void {
  const { headDim, numKeyValueHeads } = session.config;
  for (const tensor of cacheTensors(cache)) {
    for (let head = 0; head < numKeyValueHeads; head++) {
      const at = (slot * numKeyValueHeads + head) * cache.capacity * headDim;
      for (let index = at + start * headDim; index < at + end * headDim; index++) visit(tensor, index);
    }
  }
}

/** The numbers of a slot's first columns, in one list. */
export function columnNumbers(
  session: ModelSession,
  cache: KvCache,
  slot: number,
  numColumns: number,
): number[] {
  const numbers: number[] = [];
  forEachCacheNumber(session, cache, slot, [0, numColumns], (tensor, index) =>
    numbers.push(tensor[index] ?? NaN),
  );
  return numbers;
}

/** The columns that one causal pass over the tokens writes to a fresh cache, and every row's logits. */
export async function freshPrefill(
  session: ModelSession,
  tokenIds: readonly number[],
): Promise<{ numbers: number[]; logits: Float32Array[] }> {
  const cache = session.createCache(1, Math.max(2, tokenIds.length));
  const numRows = tokenIds.length;
  const mask = new Uint8Array(numRows * cache.capacity);
  for (let row = 0; row < numRows; row++) mask.fill(1, row * cache.capacity, row * cache.capacity + row + 1);
  const all = Int32Array.from(tokenIds.keys());
  const output = await session.run(cache, {
    numSlots: 1,
    numRows,
    numPaddedRows: numRows,
    tokenIds: Int32Array.from(tokenIds),
    positions: all,
    rowStarts: Int32Array.of(0, numRows),
    writeIndexes: Int32Array.of(0),
    mask,
    numLogitRows: numRows,
    logitRows: all,
    numCandidates: 0,
  });
  const logits = tokenIds.map((_, index) => output.logits(index).slice());
  const numbers = columnNumbers(session, cache, 0, numRows);
  cache.dispose();
  return { numbers, logits };
}
/** Chi-square of observed counts against probabilities; bins expected fewer than 5 times are put together. */
export function chiSquare(
  counts: readonly number[],
  probabilities: readonly number[],
): { statistic: number; limit: number } {
  const total = counts.reduce((sum, count) => sum + count, 0);
  const bins = counts.map((count, at) => ({ count, expected: total * (probabilities[at] ?? 0) }));
  const small = bins.filter(({ expected }) => expected < 5);
  const rest = {
    count: small.reduce((sum, { count }) => sum + count, 0),
    expected: small.reduce((sum, { expected }) => sum + expected, 0),
  };
  const tested = bins.filter(({ expected }) => expected >= 5);
  if (rest.count > 0 || rest.expected >= 5) tested.push(rest);
  // A token of probability 0 that was drawn makes the statistic infinite.
  const statistic = tested.reduce((sum, { count, expected }) => sum + (count - expected) ** 2 / expected, 0);
  return { statistic, limit: chiSquareLimit(Math.max(1, tested.length - 1)) };
}

/** The statistic that a right sampler exceeds once in a thousand times (Wilson and Hilferty's approximation). */
export function chiSquareLimit(degreesOfFreedom: number): number {
  const z = 3.09;
  const variance = 2 / (9 * degreesOfFreedom);
  return degreesOfFreedom * (1 - variance + z * Math.sqrt(variance)) ** 3;
}
