import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { segmentSlots } from './segments.ts';
import type { RunCosts, Segment } from './segments.ts';

const slots = fc.array(fc.constantFrom(0, 0, 1, 2, 5, 17, 64), { minLength: 1, maxLength: 8 });
const costs: fc.Arbitrary<RunCosts> = fc.record({
  run: fc.integer({ min: 0, max: 40 }),
  slot: fc.integer({ min: 0, max: 5 }),
  paddedRow: fc.constantFrom(0, 0.1, 0.5, 2),
});

function costOf(
  numRows: readonly number[],
  segments: readonly Segment[],
  { run, slot, paddedRow }: RunCosts,
): number {
  return segments.reduce((sum, { start, end }) => {
    const most = Math.max(2, ...numRows.slice(start, end));
    return sum + run + (end - start) * (slot + most * paddedRow);
  }, 0);
}

/** Every way to cut the slots from `from` on in which all that have rows take part. */
function allCuts(numRows: readonly number[], from = 0): Segment[][] {
  if (from === numRows.length) return [[]];
  const skipped = numRows[from] === 0 ? allCuts(numRows, from + 1) : [];
  const taken = numRows.slice(from).flatMap((_, length) => {
    const segment = { start: from, end: from + length + 1 };
    return allCuts(numRows, segment.end).map((rest) => [segment, ...rest]);
  });
  return [...skipped, ...taken];
}

describe('the runs of a pass', () => {
  it('are the cheapest cut of the slots, and every slot with rows is in one', () => {
    fc.assert(
      fc.property(slots, costs, (numRows, prices) => {
        const segments = segmentSlots(numRows, prices);
        const least = Math.min(...allCuts(numRows).map((cut) => costOf(numRows, cut, prices)));
        expect(costOf(numRows, segments, prices)).toBeCloseTo(least);
        const covered = segments.flatMap(({ start, end }) => numRows.slice(start, end));
        expect(covered.filter((count) => count > 0)).toEqual(numRows.filter((count) => count > 0));
      }),
    );
  });

  it('are one where reading the weights is dear, and one for a prompt beside many short ones where it is not', () => {
    const numRows = [2, 2, 2, 2, 2, 2, 2, 60];
    expect(segmentSlots(numRows, { run: 1000, slot: 1, paddedRow: 0.2 })).toEqual([{ start: 0, end: 8 }]);
    expect(segmentSlots(numRows, { run: 10, slot: 1, paddedRow: 0.2 })).toEqual([
      { start: 0, end: 7 },
      { start: 7, end: 8 },
    ]);
  });
});
