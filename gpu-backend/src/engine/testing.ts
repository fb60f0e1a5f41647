import { fileURLToPath } from 'node:url';
import type { ForwardRows, KvCache, ModelSession } from '../device/device.ts';
import { openModel } from '../device/node-binding.ts';
import { loadModelFolder } from '../model/folder.ts';
import type { Sampling } from './sample.ts';
import { Sequence } from './sequence.ts';
import type { SequenceOptions } from './sequence.ts';

/** Helpers of the engine's tests: real models and real sessions, small. */

export const GREEDY: Sampling = { temperature: 0, topK: 0, topP: 1, minP: 0, seed: 0n };

export const PROMPT = [7, 28, 6, 22, 26, 42, 31, 17, 26];

export function openFixture(name: string): Promise<ModelSession> {
  const path = fileURLToPath(new URL(`../../../test/fixtures/${name}`, import.meta.url));
  return openModel(loadModelFolder(path), { numThreads: 1 });
}

export function makeSequence(session: ModelSession, options: Partial<SequenceOptions> = {}): Sequence {
  return new Sequence(sequenceOptions(options), session.createCache(2), session.config.vocabSize);
}

export function sequenceOptions(options: Partial<SequenceOptions> = {}): SequenceOptions {
  return { promptIds: PROMPT, maxTokens: 24, stopTokenIds: new Set(), sampling: GREEDY, beta: 1, ...options };
}

/** One forward pass as the device saw it. */
export interface RecordedRun {
  readonly rows: ForwardRows;
  readonly capacity: number;
  /** [logitRows, vocab], a copy. */
  readonly logits: Float32Array;
}

/** The same session, with every run written down; `before` may touch the cache first. */
export function recording(
  session: ModelSession,
  before: (cache: KvCache, rows: ForwardRows) => void = () => undefined,
): { session: ModelSession; runs: RecordedRun[] } {
  const runs: RecordedRun[] = [];
  const run = async (cache: KvCache, rows: ForwardRows): Promise<Float32Array> => {
    before(cache, rows);
    const logits = await session.run(cache, rows);
    runs.push({ rows, capacity: cache.capacity, logits: logits.slice() });
    return logits;
  };
  const { config } = session;
  const createCache = (capacity: number): KvCache => session.createCache(capacity);
  return { session: { config, createCache, run, dispose: () => session.dispose() }, runs };
}

/** The cache's own numbers, float32 [1, heads, capacity, headDim] for each layer's keys and values. */
export function cacheTensors(cache: KvCache): Float32Array[] {
  const { inputs } = cache as unknown as { inputs: Record<string, { data: Float32Array }> };
  const tensors = Object.values(inputs).map((tensor) => tensor.data);
  if (tensors.length === 0) throw new Error('the cache has no tensors to look at');
  return tensors;
}

/** Calls `visit` with every number of the cache's columns [start, end). */
export function forEachCacheNumber(
  session: ModelSession,
  cache: KvCache,
  [start, end]: [number, number],
  visit: (tensor: Float32Array, index: number) => void,
): void {
  const { headDim, numKeyValueHeads } = session.config;
  for (const tensor of cacheTensors(cache)) {
    for (let head = 0; head < numKeyValueHeads; head++) {
      const at = head * cache.capacity * headDim;
      for (let index = at + start * headDim; index < at + end * headDim; index++) visit(tensor, index);
    }
  }
}

/** The committed columns' numbers in one list. */
export function committedNumbers(session: ModelSession, cache: KvCache, numCommitted: number): number[] {
  const numbers: number[] = [];
  forEachCacheNumber(session, cache, [0, numCommitted], (tensor, index) =>
    numbers.push(tensor[index] ?? NaN),
  );
  return numbers;
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
