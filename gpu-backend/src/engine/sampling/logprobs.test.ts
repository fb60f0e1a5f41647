import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { tokenLogprobs } from './logprobs.ts';
import { wholeRow } from './row.ts';
import { rowWithCandidates } from './testing.ts';

const VOCAB = 50;
const logitsOf = (seed: number, unit: number): Float32Array =>
  Float32Array.from(
    { length: VOCAB },
    (_, id) => unit * Math.round((6 * Math.sin(seed + id * id * 1.3)) / unit),
  );
const rows = fc.record({ seed: fc.nat(), unit: fc.constantFrom(1e-6, 1) });

/** Softmax, logarithm, sort: as plainly as possible. */
function oracle(logits: Float32Array): { logprobs: number[]; order: number[] } {
  const total = logits.reduce((sum, logit) => sum + Math.exp(logit), 0);
  const logprobs = [...logits].map((logit) => Math.log(Math.exp(logit) / total));
  return { logprobs, order: [...logits.keys()].sort((a, b) => logits[b]! - logits[a]! || a - b) };
}

describe('log-probabilities', () => {
  it('are those of a plain softmax, the likeliest first, of equals the lower id, by row and by candidates', () => {
    fc.assert(
      fc.property(
        rows,
        fc.nat(VOCAB - 1),
        fc.nat(20),
        fc.integer({ min: 2, max: VOCAB }),
        (row, id, n, k) => {
          const logits = logitsOf(row.seed, row.unit);
          const { logprobs, order } = oracle(logits);
          for (const source of [wholeRow(logits), rowWithCandidates(logits, k)]) {
            const { tokenId, logprob, top } = tokenLogprobs(source, id, n);
            expect(tokenId).toBe(id);
            expect(logprob).toBeCloseTo(logprobs[id]!, 5);
            expect(top.map((entry) => entry.tokenId)).toEqual(order.slice(0, n));
            for (const entry of top) expect(entry.logprob).toBeCloseTo(logprobs[entry.tokenId]!, 5);
          }
        },
      ),
    );
  });

  it('do not depend on how many candidates a row has', () => {
    fc.assert(
      fc.property(rows, fc.nat(VOCAB - 1), fc.nat(20), (row, id, n) => {
        const logits = logitsOf(row.seed, row.unit);
        const given = [2, 8, VOCAB].map((k) => tokenLogprobs(rowWithCandidates(logits, k), id, n));
        expect(given[1]).toEqual(given[0]);
        expect(given[2]).toEqual(given[0]);
      }),
    );
  });

  it('read the whole row only for a token or for alternatives that are not among the candidates', () => {
    const logits = logitsOf(1, 1e-6);
    const { order } = oracle(logits);
    const reads = (id: number, n: number): number => {
      const row = rowWithCandidates(logits, 8);
      tokenLogprobs(row, id, n);
      return row.numFullReads;
    };
    expect([reads(order[7]!, 8), reads(order[8]!, 8), reads(order[7]!, 9)]).toEqual([0, 1, 1]);
  });

  it('are refused where the row is not finite', () => {
    const broken = Float32Array.of(1, NaN, 2);
    expect(() => tokenLogprobs(wholeRow(broken), 0, 1)).toThrowError(/not finite/);
    const candidates = { tokenIds: Int32Array.of(2), scores: Float32Array.of(2), logSumExp: NaN };
    expect(() => tokenLogprobs({ full: () => broken, candidates }, 0, 1)).toThrowError(/not finite/);
  });
});
