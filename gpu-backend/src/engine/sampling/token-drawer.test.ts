import { describe, expect, it } from 'vitest';
import { wholeRow } from './row.ts';
import { PLAIN_SAMPLING } from './settings.ts';
import type { Draw, Row, Sampling } from './settings.ts';
import { rowWithCandidates, SumGrammar } from './testing.ts';
import { TokenDrawer } from './token-drawer.ts';

const row = Float32Array.of(1, 3, 3, -2, 0, 2);

function drawerOf(sampling: Partial<Sampling>, grammar?: SumGrammar, vocabSize = row.length): TokenDrawer {
  return new TokenDrawer({
    sampling: { ...PLAIN_SAMPLING, ...sampling },
    choice: 0,
    vocabSize,
    promptIds: [],
    committedIds: [],
    endTokenIds: new Set([5]),
    ...(grammar ? { grammar } : {}),
  });
}

const draw = (sampling: Partial<Sampling>, logits: Row = row): Draw => ({
  ...drawerOf(sampling).draw(wholeRow(logits), 9),
});

describe('one draw', () => {
  it('is greedy at temperature 0, the lower id winning a tie, whatever the seed and the truncation', () => {
    for (const seed of [0n, 7n])
      expect(draw({ seed, topK: 1, topP: 0.1, minP: 1 })).toEqual({ best: 1, secondBest: 2, margin: 0 });
    expect(draw({}, Float64Array.of(0, 1, 4, 2.5))).toEqual({ best: 2, secondBest: 3, margin: 1.5 });
  });

  it('is greedy at temperatures that would leave nothing of the noise', () => {
    expect(draw({ temperature: 1e-300 })).toEqual(draw({}));
  });

  it('has no second best and an infinite margin where truncation left one token', () => {
    for (const truncation of [{ topK: 1 }, { topP: 1e-9 }, { minP: 1 }]) {
      const only = { ...truncation, temperature: 1 };
      const steep = Float32Array.of(1, 3, 2.9, -2, 0, 2);
      expect(draw(only, steep)).toEqual({ best: 1, secondBest: -1, margin: Infinity });
    }
  });

  it('keeps exactly k tokens, lower ids first where scores are equal', () => {
    const drawn = (topK: number): number[] => {
      const seeds = Array.from({ length: 300 }, (_, seed) => BigInt(seed));
      return [...new Set(seeds.map((seed) => draw({ temperature: 5, topK, seed }).best))].sort(
        (a, b) => a - b,
      );
    };
    expect([drawn(1), drawn(2), drawn(3), drawn(4)]).toEqual([[1], [1, 2], [1, 2, 5], [0, 1, 2, 5]]);
  });

  it.each([NaN, Infinity, -Infinity])('refuses a row that holds %s anywhere', (bad) => {
    for (const temperature of [0, 1])
      for (let at = 0; at < 7; at++)
        for (const type of [Float32Array, Float64Array]) {
          const broken = type.of(1, 2, 1, 3, 4, 0, -1);
          broken[at] = bad;
          expect(() => draw({ temperature }, broken)).toThrowError(/not finite/);
        }
  });

  it('takes numbers as large as float32 holds', () => {
    const large = Float32Array.of(-3.4e38, -3.4e38, -3.4e38, -3.4e38, 3.4e38, -3.4e38, 1);
    expect(draw({}, large)).toMatchObject({ best: 4, secondBest: 6 });
  });

  it('refuses constraints that leave no token', () => {
    const grammar = new SumGrammar(row.length, 2, 1);
    grammar.isAllowed = () => false;
    for (const source of [wholeRow(row), rowWithCandidates(row, 2)]) {
      expect(() => drawerOf({}, grammar).draw(source, 9)).toThrowError(/No token can follow here/);
      expect(() => drawerOf({}, grammar).propose(source, 9)).toThrowError(/No token can follow here/);
    }
  });

  it('is the same after its position’s noise was released', () => {
    const drawer = drawerOf({ temperature: 1, seed: 3n });
    const first = { ...drawer.draw(wholeRow(row), 9) };
    drawer.release(10);
    drawer.draw(wholeRow(row), 10);
    expect(drawer.draw(wholeRow(row), 9)).toEqual(first);
  });
});

describe('a draw among candidates', () => {
  it('sees that an equal token of a lower id may be outside of them', () => {
    // Token 3 is no candidate; the bias makes candidate 5 its equal.
    const logits = Float32Array.of(1, 0, 0, 1, 3, 2);
    const drawer = drawerOf({
      logitBias: [
        [5, -1],
        [0, -100],
      ],
    });
    expect(drawer.draw(rowWithCandidates(logits, 3), 9)).toEqual({ best: 4, secondBest: 3, margin: 2 });
  });
});

describe('top-p among candidates', () => {
  it('trusts no more digits of the log-sum-exp than float32 sums have', () => {
    // The likeliest token has a hair less than half of the mass, and more than half by a log-sum-exp that is 5e-5 low.
    const logits = Float32Array.from([1, 0.6, 0.25, 0.15 + 4e-5], Math.log);
    for (let seed = 0n; seed < 50n; seed++) {
      const drawer = drawerOf({ temperature: 1, topP: 0.5, seed }, undefined, 4);
      const drawn = { ...drawer.draw(rowWithCandidates(logits, 3, -5e-5), 9) };
      expect(drawn).toEqual({ ...drawer.draw(wholeRow(logits), 9) });
      expect(drawn.secondBest).toBeGreaterThanOrEqual(0);
    }
  });
});

describe('the candidates wanted', () => {
  it('are two while greedy decoding keeps rows as they are, else all', () => {
    expect(drawerOf({}).numCandidatesWanted).toBe(2);
    for (const sampling of [
      { temperature: 1 },
      { presencePenalty: 1 },
      { logitBias: [[1, 1]] as const },
      { repetitionPenalty: 1.1 },
    ])
      expect(drawerOf(sampling).numCandidatesWanted).toBe(Infinity);
    expect(drawerOf({}, new SumGrammar(6, 2, 1)).numCandidatesWanted).toBe(Infinity);
    const early = drawerOf({ minTokens: 1 });
    expect(early.numCandidatesWanted).toBe(Infinity);
    early.push(3);
    expect(early.numCandidatesWanted).toBe(2);
  });
});
