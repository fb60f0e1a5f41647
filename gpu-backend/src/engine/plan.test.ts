import { describe, expect, it } from 'vitest';
import { ar, assertPlan, dense, fitPlan, matchOutcome } from './plan.ts';
import type { Plan } from './plan.ts';

const DRAFTS = [10, 20, 30];

describe('a plan', () => {
  it('is refused where the state can’t carry it', () => {
    const refused: [Plan, string][] = [
      [{ numDraftRows: 0, outcomes: [] }, '0 draft rows'],
      [{ numDraftRows: 5, outcomes: [] }, 'the sequence has 4'],
      [{ numDraftRows: 2, outcomes: [{ accepted: 3, numMaskTokens: 1 }] }, 'outcome (3, none)'],
      [{ numDraftRows: 2, outcomes: [{ accepted: 1, numMaskTokens: 0 }] }, 'no mask tokens'],
      [{ numDraftRows: 2, outcomes: [{ accepted: 1, correction: 10, numMaskTokens: 1 }] }, 'to itself'],
      [
        {
          numDraftRows: 2,
          outcomes: [
            { accepted: 1, correction: 7, numMaskTokens: 1 },
            { accepted: 1, correction: 7, numMaskTokens: 2 },
          ],
        },
        'outcome (1, 7) twice',
      ],
    ];
    for (const [plan, says] of refused) expect(() => assertPlan(plan, DRAFTS)).toThrowError(says);
  });

  it('may expect any token after the last draft row, and one with no masks behind it', () => {
    expect(() =>
      assertPlan({ numDraftRows: 2, outcomes: [{ accepted: 2, correction: 20, numMaskTokens: 0 }] }, DRAFTS),
    ).not.toThrow();
    for (const plan of [ar(), dense(4)]) expect(() => assertPlan(plan, DRAFTS)).not.toThrow();
  });

  it('is matched by the outcome that expected the very token, else by the one that expected none', () => {
    const plan: Plan = {
      numDraftRows: 2,
      outcomes: [
        { accepted: 1, numMaskTokens: 4 },
        { accepted: 1, correction: 7, numMaskTokens: 4 },
        { accepted: 2, correction: 8, numMaskTokens: 4 },
      ],
    };
    expect(matchOutcome(plan, 1, 7)).toBe(1);
    expect(matchOutcome(plan, 1, 9)).toBe(0);
    expect(matchOutcome(plan, 2, 8)).toBe(2);
    expect(matchOutcome(plan, 2, 7)).toBe(-1);
  });

  it('is fitted to the drafts there are, the tokens that may come and the positions left', () => {
    const all = { numDraftRows: 4, numRemainingTokens: 100, numPositions: 100 };
    expect(fitPlan(dense(4), all)).toEqual(dense(4));
    expect(fitPlan(dense(4), { ...all, numDraftRows: 1 })).toEqual({
      numDraftRows: 1,
      outcomes: [{ accepted: 1, numMaskTokens: 4 }],
    });
    expect(fitPlan(dense(4), { ...all, numRemainingTokens: 1 })).toEqual(ar());
    expect(fitPlan(dense(2), { ...all, numPositions: 3 }).outcomes).toEqual([
      { accepted: 1, numMaskTokens: 2 },
      { accepted: 2, numMaskTokens: 1 },
    ]);
    const corrected: Plan = { numDraftRows: 1, outcomes: [{ accepted: 1, correction: 5, numMaskTokens: 3 }] };
    expect(fitPlan(corrected, { ...all, numPositions: 2 }).outcomes[0]?.numMaskTokens).toBe(0);
    expect(fitPlan(corrected, { ...all, numPositions: 1 }).outcomes).toEqual([]);
  });
});
