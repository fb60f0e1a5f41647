import { gumbelNoise } from '@tidar/shared/noise.ts';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { KvCache, ModelSession } from '../device/device.ts';
import { Sampler } from './sample.ts';
import type { Sampling } from './sample.ts';
import { Sequence } from './sequence.ts';
import { chiSquare, openFixture, sequenceOptions } from './testing.ts';

const NUM_SEEDS = 20_000;
const POSITION = 41;
const PLAIN: Sampling = { temperature: 1, topK: 0, topP: 1, minP: 0, seed: 0n };

let session: ModelSession;
let cache: KvCache;
let logits: Float32Array;
beforeAll(async () => {
  session = await openFixture('llama-tidar');
  cache = session.createCache(2);
  // A row of the kind that models give: a few likely tokens, a tail, and two equal ones.
  logits = Float32Array.from(
    { length: session.config.vocabSize },
    (_, id) => 2.5 * Math.sin(1.7 * id * id + 0.3),
  );
  logits[11] = logits[12] = 1.5;
});
afterAll(() => session.dispose());

/** The engine's own way from settings to a token: a sequence's draw at an absolute position. */
function draw(sampling: Sampling, position = POSITION, choice = 0): number {
  const sequence = new Sequence(sequenceOptions({ sampling, choice }), cache, logits.length);
  return sequence.draw(logits, position).best;
}

function countDraws(drawSeed: (seed: bigint) => number): number[] {
  const counts = new Array<number>(logits.length).fill(0);
  for (let seed = 0; seed < NUM_SEEDS; seed++) counts[drawSeed(BigInt(seed) * 0x1_0000_0001n)]! += 1;
  return counts;
}

/** What the settings mean, written as plainly as possible. */
function softmax({ temperature, topK, topP, minP }: Sampling): number[] {
  const renormalize = (p: number[]): number[] => {
    const total = p.reduce((sum, value) => sum + value, 0);
    return p.map((value) => value / total);
  };
  let p = renormalize([...logits].map((logit) => Math.exp(logit / temperature)));
  const order = [...p.keys()].sort((a, b) => p[b]! - p[a]! || a - b);
  const keep = (kept: readonly number[]): void => {
    p = renormalize(p.map((value, id) => (kept.includes(id) ? value : 0)));
  };
  if (topK > 0) keep(order.slice(0, topK));
  let reached = 0;
  if (topP < 1) keep(order.filter((id) => (reached >= topP ? false : ((reached += p[id]!), true))));
  if (minP > 0) keep(order.filter((id) => p[id]! >= minP * Math.max(...p)));
  return p;
}

const CASES: { name: string; sampling: Sampling }[] = [
  { name: 'temperature 1', sampling: PLAIN },
  { name: 'temperature 0.6', sampling: { ...PLAIN, temperature: 0.6 } },
  { name: 'temperature 1.8', sampling: { ...PLAIN, temperature: 1.8 } },
  { name: 'top-k 7', sampling: { ...PLAIN, topK: 7 } },
  { name: 'top-p 0.7', sampling: { ...PLAIN, topP: 0.7 } },
  { name: 'min-p 0.2', sampling: { ...PLAIN, minP: 0.2 } },
  { name: 'all of them', sampling: { ...PLAIN, temperature: 1.3, topK: 20, topP: 0.85, minP: 0.1 } },
];

describe('a keyed draw over 20,000 seeds', () => {
  it.each(CASES)('has the distribution of a plain softmax with $name', ({ sampling }) => {
    const { statistic, limit } = chiSquare(
      countDraws((seed) => draw({ ...sampling, seed })),
      softmax(sampling),
    );
    expect(statistic).toBeLessThan(limit);
  });

  it.each(CASES.filter(({ name }) => name !== 'temperature 1'))(
    'is caught by the same test when $name is left out',
    ({ sampling }) => {
      const { statistic, limit } = chiSquare(
        countDraws((seed) => draw({ ...PLAIN, seed })),
        softmax(sampling),
      );
      expect(statistic).toBeGreaterThan(10 * limit);
    },
  );
});

describe('draws that must be independent', () => {
  // The joint counts of two draws against the product of their distributions; tokens folded into three groups.
  const jointStatistic = (first: (seed: bigint) => number, second: (seed: bigint) => number) => {
    const p = softmax(PLAIN);
    const group = (id: number): number => id % 3;
    const mass = [0, 1, 2].map((g) => p.reduce((sum, value, id) => sum + (group(id) === g ? value : 0), 0));
    const counts = new Array<number>(9).fill(0);
    for (let seed = 0n; seed < NUM_SEEDS; seed++) counts[3 * group(first(seed)) + group(second(seed))]! += 1;
    return chiSquare(
      counts,
      mass.flatMap((a) => mass.map((b) => a * b)),
    );
  };

  it.each([
    { between: 'neighbouring positions', position: POSITION + 1, choice: 0, seedStep: 0n },
    { between: 'distant positions', position: POSITION + 4096, choice: 0, seedStep: 0n },
    { between: 'choices', position: POSITION, choice: 1, seedStep: 0n },
    { between: 'seeds', position: POSITION, choice: 0, seedStep: 1_000_003n },
    { between: 'seeds that differ in their high words', position: POSITION, choice: 0, seedStep: 1n << 40n },
  ])('are so between $between', ({ position, choice, seedStep }) => {
    const { statistic, limit } = jointStatistic(
      (seed) => draw({ ...PLAIN, seed }),
      (seed) => draw({ ...PLAIN, seed: seed + seedStep }, position, choice),
    );
    expect(statistic).toBeLessThan(limit);
  });

  it('are caught by the same test when noise is keyed without the position', () => {
    const sampler = new Sampler(logits.length);
    const broken = (seed: bigint, _position: number): number =>
      sampler.sample(logits, PLAIN, () => Float64Array.from(logits, (_, id) => gumbelNoise(seed, 0, 0, id)))
        .best;
    const { statistic, limit } = jointStatistic(
      (seed) => broken(seed, POSITION),
      (seed) => broken(seed, POSITION + 1),
    );
    expect(statistic).toBeGreaterThan(10 * limit);
  });
});

describe('one draw', () => {
  const sampler = new Sampler(6);
  const row = Float32Array.of(1, 3, 3, -2, 0, 2);
  const noNoise = (): Float64Array => new Float64Array(6);

  it('is greedy at temperature 0, the lower id winning a tie, and needs no noise', () => {
    const greedy = sampler.sample(row, { ...PLAIN, temperature: 0, topK: 1 }, () => {
      throw new Error('noise was asked for');
    });
    expect(greedy).toEqual({ best: 1, secondBest: 2 });
  });

  it('has no second best where truncation left one token', () => {
    expect(sampler.sample(row, { ...PLAIN, topK: 1 }, noNoise)).toEqual({ best: 1, secondBest: -1 });
    expect(sampler.sample(row, { ...PLAIN, topP: 1e-9 }, noNoise)).toEqual({ best: 1, secondBest: -1 });
  });

  it('keeps exactly k tokens, lower ids first where scores are equal', () => {
    const noise = Float64Array.of(0, 0, 100, 0, 0, 50);
    expect(sampler.sample(row, { ...PLAIN, topK: 1 }, () => noise).best).toBe(1);
    expect(sampler.sample(row, { ...PLAIN, topK: 2 }, () => noise)).toEqual({ best: 2, secondBest: 1 });
    expect(sampler.sample(row, { ...PLAIN, topK: 3 }, () => noise)).toEqual({ best: 2, secondBest: 5 });
  });

  it.each([NaN, Infinity, -Infinity])('refuses a row that holds %s', (bad) => {
    const broken = Float32Array.of(1, 2, bad, 3, 4, 5);
    for (const temperature of [0, 1]) {
      expect(() => sampler.sample(broken, { ...PLAIN, temperature }, noNoise)).toThrowError(/not finite/);
    }
  });
});
