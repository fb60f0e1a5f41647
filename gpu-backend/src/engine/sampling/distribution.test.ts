import { gumbelNoise } from '@tidar/shared/noise.ts';
import { describe, expect, it } from 'vitest';
import { chiSquare } from '../testing.ts';
import { wholeRow } from './row.ts';
import { PLAIN_SAMPLING } from './settings.ts';
import type { LogitsRow, Sampling } from './settings.ts';
import { processedScores, rowWithCandidates, SumGrammar } from './testing.ts';
import { TokenDrawer } from './token-drawer.ts';

const NUM_SEEDS = 20_000;
const POSITION = 41;
const VOCAB = 64;
const PLAIN: Sampling = { ...PLAIN_SAMPLING, temperature: 1 };

// A row of the kind that models give: a few likely tokens, a tail, and two equal ones.
const logits = Float32Array.from({ length: VOCAB }, (_, id) => 2.5 * Math.sin(1.7 * id * id + 0.3));
logits[11] = logits[12] = 1.5;

const promptIds = [3, 11, 30, 30];
const completionIds = [20, 12, 20, 7, 20];
const endTokenIds = new Set([11, 40]);
/** After the completion above it allows three of five tokens. */
const grammarAfter = (): SumGrammar => {
  const grammar = new SumGrammar(VOCAB, 5, 3);
  grammar.accepted.push(...completionIds);
  return grammar;
};

interface Setting {
  readonly sampling: Sampling;
  readonly hasGrammar?: boolean;
}

function draw({ sampling, hasGrammar }: Setting, row: LogitsRow, position = POSITION, choice = 0): number {
  const drawer = new TokenDrawer({
    sampling,
    choice,
    vocabSize: VOCAB,
    promptIds,
    committedIds: hasGrammar ? [] : completionIds,
    endTokenIds,
    ...(hasGrammar ? { grammar: grammarAfter() } : {}),
  });
  return drawer.draw(row, position).best;
}

function countDraws(drawSeed: (seed: bigint) => number): number[] {
  const counts = new Array<number>(VOCAB).fill(0);
  for (let seed = 0; seed < NUM_SEEDS; seed++) counts[drawSeed(BigInt(seed) * 0x1_0000_0001n)]! += 1;
  return counts;
}

/** What the settings mean, written as plainly as possible. */
function softmax({ sampling, hasGrammar }: Setting): number[] {
  const { temperature, topK, topP, minP } = sampling;
  const renormalize = (p: number[]): number[] => {
    const total = p.reduce((sum, value) => sum + value, 0);
    return p.map((value) => value / total);
  };
  const grammar = grammarAfter();
  const isAllowed = (id: number): boolean => !hasGrammar || grammar.isAllowed(id);
  const oracle = {
    sampling,
    choice: 0,
    promptIds,
    completionIds: hasGrammar ? [] : completionIds,
    endTokenIds,
    isAllowed,
  };
  let p = renormalize(processedScores(logits, oracle).map((score) => Math.exp(score / temperature)));
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

const CASES: { name: string; setting: Setting }[] = [
  { name: 'temperature 1', setting: { sampling: PLAIN } },
  { name: 'temperature 0.6', setting: { sampling: { ...PLAIN, temperature: 0.6 } } },
  { name: 'temperature 1.8', setting: { sampling: { ...PLAIN, temperature: 1.8 } } },
  { name: 'top-k 7', setting: { sampling: { ...PLAIN, topK: 7 } } },
  { name: 'top-p 0.7', setting: { sampling: { ...PLAIN, topP: 0.7 } } },
  { name: 'min-p 0.2', setting: { sampling: { ...PLAIN, minP: 0.2 } } },
  { name: 'a presence penalty', setting: { sampling: { ...PLAIN, presencePenalty: 2 } } },
  { name: 'a frequency penalty', setting: { sampling: { ...PLAIN, frequencyPenalty: 0.8 } } },
  { name: 'a negative frequency penalty', setting: { sampling: { ...PLAIN, frequencyPenalty: -0.8 } } },
  { name: 'a repetition penalty', setting: { sampling: { ...PLAIN, repetitionPenalty: 2 } } },
  { name: 'a repetition penalty below 1', setting: { sampling: { ...PLAIN, repetitionPenalty: 0.6 } } },
  {
    name: 'logit biases',
    setting: {
      sampling: {
        ...PLAIN,
        logitBias: [
          [5, 4],
          [12, -3],
        ],
      },
    },
  },
  { name: 'min tokens', setting: { sampling: { ...PLAIN, minTokens: 6 } } },
  { name: 'a grammar', setting: { sampling: PLAIN, hasGrammar: true } },
  {
    name: 'all of them',
    setting: {
      sampling: {
        ...{ ...PLAIN, temperature: 1.3, topK: 20, topP: 0.85, minP: 0.1, minTokens: 9 },
        ...{ presencePenalty: 0.7, frequencyPenalty: 0.2, repetitionPenalty: 1.2, logitBias: [[9, 2]] },
      },
    },
  },
];

describe('a keyed draw over 20,000 seeds', () => {
  it.each(CASES)('has the distribution of a plain softmax with $name, by the whole row', ({ setting }) => {
    const { statistic, limit } = chiSquare(
      countDraws((seed) => draw({ ...setting, sampling: { ...setting.sampling, seed } }, wholeRow(logits))),
      softmax(setting),
    );
    expect(statistic).toBeLessThan(limit);
  });

  it.each(CASES)('has the distribution of a plain softmax with $name, by 24 candidates', ({ setting }) => {
    const row = rowWithCandidates(logits, 24);
    const { statistic, limit } = chiSquare(
      countDraws((seed) => draw({ ...setting, sampling: { ...setting.sampling, seed } }, row)),
      softmax(setting),
    );
    expect(statistic).toBeLessThan(limit);
  });

  it.each(CASES.filter(({ name }) => name !== 'temperature 1'))(
    'is caught by the same test when $name is left out',
    ({ setting }) => {
      const { statistic, limit } = chiSquare(
        countDraws((seed) => draw({ sampling: { ...PLAIN, seed } }, wholeRow(logits))),
        softmax(setting),
      );
      expect(statistic).toBeGreaterThan(5 * limit);
    },
  );
});

describe('draws that must be independent', () => {
  // The joint counts of two draws against the product of their distributions; tokens folded into three groups.
  const jointStatistic = (first: (seed: bigint) => number, second: (seed: bigint) => number) => {
    const p = softmax({ sampling: PLAIN });
    const group = (id: number): number => id % 3;
    const mass = [0, 1, 2].map((g) => p.reduce((sum, value, id) => sum + (group(id) === g ? value : 0), 0));
    const counts = new Array<number>(9).fill(0);
    for (let seed = 0n; seed < NUM_SEEDS; seed++) counts[3 * group(first(seed)) + group(second(seed))]! += 1;
    return chiSquare(
      counts,
      mass.flatMap((a) => mass.map((b) => a * b)),
    );
  };
  const drawPlain = (seed: bigint, position = POSITION, choice = 0): number =>
    draw({ sampling: { ...PLAIN, seed } }, wholeRow(logits), position, choice);

  it.each([
    { between: 'neighbouring positions', position: POSITION + 1, choice: 0, seedStep: 0n },
    { between: 'distant positions', position: POSITION + 4096, choice: 0, seedStep: 0n },
    { between: 'choices', position: POSITION, choice: 1, seedStep: 0n },
    { between: 'seeds', position: POSITION, choice: 0, seedStep: 1_000_003n },
    { between: 'seeds that differ in their high words', position: POSITION, choice: 0, seedStep: 1n << 40n },
  ])('are so between $between', ({ position, choice, seedStep }) => {
    const { statistic, limit } = jointStatistic(drawPlain, (seed) =>
      drawPlain(seed + seedStep, position, choice),
    );
    expect(statistic).toBeLessThan(limit);
  });

  it('are caught by the same test when noise is keyed without the position', () => {
    const broken = (seed: bigint): number => {
      const keyed = [...logits].map((logit, id) => logit + gumbelNoise(seed, 0, 0, id));
      return keyed.indexOf(Math.max(...keyed));
    };
    const { statistic, limit } = jointStatistic(broken, broken);
    expect(statistic).toBeGreaterThan(10 * limit);
  });
});
