import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BestTwo, scanRow } from './best-two.ts';

const few = fc.array(fc.constantFrom(-Infinity, -1, 0, 2.5, 7), { maxLength: 12 });

describe('the two highest', () => {
  it('are those of a sort by score and id, whatever the order they come in', () => {
    fc.assert(
      fc.property(few, fc.nat(), (scores, seed) => {
        const left = [...scores.keys()].filter((id) => scores[id] !== -Infinity);
        const [best = -1, secondBest = -1] = left.toSorted((a, b) => scores[b]! - scores[a]! || a - b);
        const shuffled = left.toSorted((a, b) => ((a * 7 + seed) % 5) - ((b * 7 + seed) % 5));
        const found = new BestTwo();
        for (const id of shuffled) found.add(id, scores[id]!);
        expect(found).toMatchObject({ best, secondBest });
      }),
    );
  });

  it('of a row are the same for both number types and any length', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: -9, max: 9 }), { maxLength: 40 }), (scores) => {
        const [best = -1, secondBest = -1] = [...scores.keys()].sort(
          (a, b) => scores[b]! - scores[a]! || a - b,
        );
        for (const row of [Float32Array.from(scores), Float64Array.from(scores)]) {
          const found = new BestTwo();
          found.add(3, 99); // of the row before
          scanRow(row, found);
          expect(found).toMatchObject({ best, secondBest });
        }
      }),
    );
  });
});
