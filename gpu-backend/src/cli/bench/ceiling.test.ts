import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { constantTrace, encodeOutcome, isHit, isSecondHit, outcomeAt } from './acceptance-trace.ts';
import { ceilingMs } from './ceiling.ts';
import type { KnownText } from './ceiling.ts';

const BLOCK_SIZE = 4;
const text = (numTokens: number, isAlwaysHit: boolean): KnownText => {
  const trace = constantTrace(isAlwaysHit);
  return { numTokens, outcome: (start, depth) => outcomeAt(trace, start, depth) };
};

/** Tries every plan, each as a list of what its drafts come to: 1 right, 2 its runner-up is, 0 neither. */
function slowCeiling({ numTokens, outcome }: KnownText, cost: (numRows: number) => number): number {
  const verdicts = (start: number, numMasks: number): number[] =>
    Array.from({ length: Math.max(0, numMasks - 1) }, (_, at) => {
      const one = outcome(start, at + 1);
      return isHit(one) ? 1 : isSecondHit(one) ? 2 : 0;
    });
  const rest = (start: number, drafts: readonly number[]): number => {
    if (start >= numTokens - 1) return 0;
    let least = Infinity;
    for (let rows = 1; rows <= drafts.length + 1 && start + rows < numTokens; rows++) {
      const verified = drafts.slice(0, rows - 1);
      if (verified.some((one) => one !== 1)) break;
      const next = start + rows;
      const options = [{ numRows: rows, then: [] as number[] }];
      for (let masks = 2; masks <= BLOCK_SIZE; masks++)
        options.push({ numRows: rows + masks, then: verdicts(next, masks) });
      if (drafts[rows - 1] === 2)
        for (let masks = 0; masks <= BLOCK_SIZE; masks++)
          options.push({ numRows: rows + 1 + masks, then: [1, ...verdicts(next + 1, masks)] });
      for (const { numRows, then } of options)
        least = Math.min(least, cost(Math.max(2, numRows)) + rest(next, then));
    }
    return least;
  };
  return rest(0, verdicts(0, BLOCK_SIZE));
}

describe('the ceiling', () => {
  it('is plain decoding where no draft is right, and full blocks where all are and rows are free', () => {
    const cost = (numRows: number): number => 3 + numRows;
    expect(ceilingMs(text(8, false), BLOCK_SIZE, cost)).toBe(7 * cost(2));
    expect(ceilingMs(text(9, true), BLOCK_SIZE, () => 1)).toBe(2);
    expect(ceilingMs(text(10, true), BLOCK_SIZE, () => 1)).toBe(3);
    expect(ceilingMs(text(1, true), BLOCK_SIZE, cost)).toBe(0);
  });

  it('is that of the best of all plans, tried one by one', () => {
    const outcomes = fc.array(fc.constantFrom('hit', 'second', 'miss'), { minLength: 40, maxLength: 40 });
    const slope = fc.double({ min: 0, max: 2, noNaN: true });
    fc.assert(
      fc.property(outcomes, slope, fc.integer({ min: 1, max: 6 }), (all, perRow, numTokens) => {
        const known = (start: number, depth: number): number => {
          const one = all[(start * 5 + depth) % all.length];
          return encodeOutcome({ isHit: one === 'hit', isSecondHit: one === 'second', margin: 1 });
        };
        const cost = (numRows: number): number => 1 + perRow * numRows;
        const fast = ceilingMs({ numTokens, outcome: known }, BLOCK_SIZE, cost);
        expect(fast).toBeCloseTo(slowCeiling({ numTokens, outcome: known }, cost), 9);
      }),
      { numRuns: 60 },
    );
  });
});
