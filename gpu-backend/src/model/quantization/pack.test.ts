import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { packRows, unpackRows } from './pack.ts';
import { BLOCK_SIZE } from './scheme.ts';

const weight = fc
  .float({ min: -4, max: 4, noNaN: true, noDefaultInfinity: true })
  .filter((x) => !Object.is(x, -0));

describe('packed weights', () => {
  it.each([4, 8] as const)(
    'of %i bits are within a step of what they stand for, the farthest exactly',
    (numBits) => {
      const rows = fc
        .tuple(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 3 * BLOCK_SIZE }))
        .chain(([numRows, numInputs]) =>
          fc.record({
            numInputs: fc.constant(numInputs),
            values: fc.array(weight, { minLength: numRows * numInputs, maxLength: numRows * numInputs }),
          }),
        );
      fc.assert(
        fc.property(rows, ({ numInputs, values }) => {
          const unpacked = unpackRows(
            packRows(Float32Array.from(values), numInputs, numBits),
            numInputs,
            numBits,
          );
          expect(unpacked.length).toBe(values.length);
          for (let start = 0; start < values.length; start += 1) {
            const row = Math.floor(start / numInputs);
            const block = Math.floor((start % numInputs) / BLOCK_SIZE);
            const from = row * numInputs + block * BLOCK_SIZE;
            const to = Math.min(from + BLOCK_SIZE, (row + 1) * numInputs);
            const most = Math.max(...values.slice(from, to).map(Math.abs));
            const step = most / 2 ** (numBits - 1);
            // Half a step, but for the end of the range that has one code less.
            expect(Math.abs(unpacked[start]! - values[start]!)).toBeLessThanOrEqual(step * 1.001 + 1e-30);
            const farthest = values.slice(from, to).findIndex((value) => Math.abs(value) === most);
            expect(unpacked[from + farthest]).toBeCloseTo(values[from + farthest]!, 5);
          }
        }),
        { seed: 1, numRuns: 60 },
      );
    },
  );

  it('of a block of zeros are zeros', () => {
    expect([...unpackRows(packRows(new Float32Array(40), 40, 4), 40, 4)]).toEqual(new Array(40).fill(0));
  });
});
