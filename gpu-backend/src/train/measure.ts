import { median } from '../cli/bench/interval.ts';
import { initialCheckpoint } from './initialize.ts';
import { flopsOf, timeProduct } from './products.ts';
import type { Product } from './products.ts';
import { SequenceSampler } from './sampler.ts';
import type { ModelSize, TrainingSettings } from './settings.ts';
import { Trainer } from './trainer.ts';

export interface MeasureOptions {
  readonly size: ModelSize;
  readonly vocabSize: number;
  readonly settings: TrainingSettings;
  readonly numThreads: number;
  readonly numRounds: number;
}

export interface Measured {
  readonly numParameters: number;
  /** Of one step's matrix products, forward and backward. */
  readonly flops: number;
  readonly secondsPerStep: number;
  readonly tokensPerSecond: number;
  /** FLOP/s: products' FLOPs of a step over all of its time. */
  readonly stepRate: number;
  /** FLOP/s of the step's linear layers' products, each alone and each as often as a step has it. */
  readonly plainRate: number;
  /** FLOP/s of the fastest of them. */
  readonly fastestRate: number;
}

/** Untimed rounds first: memory is mapped and threads are started. */
const NUM_WARM_ROUNDS = 2;
/** A product takes a few milliseconds: several at a time, and the median of rounds. */
const NUM_REPEATS = 3;

/** Times whole training steps and their plain matrix products in turn, on text of random tokens. */
export async function measureTraining(options: MeasureOptions): Promise<Measured> {
  const { settings, size, vocabSize, numThreads } = options;
  const tokens = { vocabSize, bosTokenId: 1, eosTokenId: 2, maskTokenId: 3 };
  const checkpoint = initialCheckpoint(size, tokens, settings);
  const trainer = await Trainer.open(checkpoint, { numThreads });
  const sampler = new SequenceSampler(noise(vocabSize, settings.numTokens), settings);
  const counts = countPlain(trainer.products);
  const times = { step: [] as number[], products: counts.map((): number[] => []) };
  for (let round = -NUM_WARM_ROUNDS; round < options.numRounds; round += 1) {
    const start = performance.now();
    await trainer.step(sampler);
    const seconds = (performance.now() - start) / 1000;
    if (round < 0) continue;
    times.step.push(seconds);
    for (const [index, { product }] of counts.entries())
      times.products[index]?.push(await timeProduct(product, numThreads, NUM_REPEATS));
  }
  await trainer.dispose();
  const rows = counts.map(({ product, count }, index) => ({
    flops: flopsOf(product),
    count,
    seconds: median(times.products[index] ?? []),
  }));
  const sum = (valueOf: (row: (typeof rows)[number]) => number): number =>
    rows.reduce((total, row) => total + valueOf(row), 0);
  const flops = trainer.products.reduce((total, product) => total + flopsOf(product), 0);
  const secondsPerStep = median(times.step);
  return {
    numParameters: [...checkpoint.tensors.values()].reduce((total, { data }) => total + data.length, 0),
    flops,
    secondsPerStep,
    tokensPerSecond: (settings.batchSize * settings.numTokens) / secondsPerStep,
    stepRate: flops / secondsPerStep,
    plainRate: sum((row) => row.count * row.flops) / sum((row) => row.count * row.seconds),
    fastestRate: Math.max(...rows.map((row) => row.flops / row.seconds)),
  };
}

export function describeMeasured(measured: Measured, numThreads: number): string {
  const { numParameters, flops, secondsPerStep, tokensPerSecond, stepRate, plainRate, fastestRate } =
    measured;
  const giga = (rate: number): string => (rate / 1e9).toFixed(1);
  const share = (rate: number): string => `${((100 * stepRate) / rate).toFixed(0)}%`;
  return [
    `${(numParameters / 1e6).toFixed(2)}M parameters, ${numThreads} threads: ${(1000 * secondsPerStep).toFixed(0)} ms a step, ${tokensPerSecond.toFixed(0)} tokens/s`,
    `${giga(flops)} GFLOP of matrix products a step: ${giga(stepRate)} GFLOP/s over the whole step`,
    `${share(plainRate)} of a plain matrix product (${giga(plainRate)} GFLOP/s: the linear layers' products alone, in their own sizes)`,
    `${share(fastestRate)} of the fastest of them (${giga(fastestRate)} GFLOP/s)`,
  ].join('\n');
}

/** The different sizes among the linear layers' products. */
function countPlain(products: readonly Product[]) {
  const counts = new Map<string, { product: Product; count: number }>();
  for (const product of products.filter(({ batch }) => batch === 1)) {
    const key = JSON.stringify(product);
    counts.set(key, { product, count: (counts.get(key)?.count ?? 0) + 1 });
  }
  return [...counts.values()];
}

/** Tokens that no model foretells, cut into documents of one sequence. */
function noise(vocabSize: number, numTokens: number) {
  const numDocuments = 64;
  const ids = Uint16Array.from(
    { length: numDocuments * numTokens },
    (_, at) => 4 + ((at * 7919 + (at >> 3)) % (vocabSize - 4)),
  );
  return { ids, documentStarts: Uint32Array.from({ length: numDocuments }, (_, at) => at * numTokens) };
}
