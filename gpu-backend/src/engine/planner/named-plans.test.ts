import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ar, assertPlan, dense } from '../plan.ts';
import { NAMED_PLANS, namedPlan } from './named-plans.ts';

const MANY = 1000;
const drafts = (...margins: number[]) =>
  margins.map((margin, at) => ({ tokenId: 10 + at, secondBest: 50 + at, margin }));

describe('named plans', () => {
  it('are valid for any drafts, any length and whatever room is left', () => {
    const draft = fc.record({
      tokenId: fc.integer({ min: 0, max: 5 }),
      secondBest: fc.constant(-1),
      margin: fc.double({ min: 0, noNaN: true }),
    });
    const withSecond = draft.chain((one) =>
      fc.constantFrom(one, { ...one, secondBest: one.tokenId + 1 }, { ...one, secondBest: one.tokenId + 2 }),
    );
    fc.assert(
      fc.property(
        fc.constantFrom(...NAMED_PLANS),
        fc.integer({ min: 1, max: 20 }),
        fc.array(withSecond, { maxLength: 20 }),
        fc.integer({ min: 1, max: 30 }),
        fc.integer({ min: 1, max: 30 }),
        (name, draftLength, atHand, numRemainingTokens, numPositions) => {
          const plan = namedPlan(name, draftLength, { drafts: atHand, numRemainingTokens, numPositions });
          assertPlan(
            plan,
            atHand.map(({ tokenId }) => tokenId),
          );
          expect(plan.numDraftRows).toBeLessThanOrEqual(Math.min(draftLength, numRemainingTokens));
          for (const { accepted } of plan.outcomes) expect(accepted).toBeLessThan(numRemainingTokens);
        },
      ),
    );
  });

  const room = { numRemainingTokens: MANY, numPositions: MANY };

  it('dense is the paper’s layout, ar has one row', () => {
    const state = { ...room, drafts: drafts(1, 1, 1) };
    expect(namedPlan('dense', 4, state)).toEqual(dense(4));
    expect(namedPlan('ar', 4, state)).toEqual(ar());
  });

  it('sparse has blocks at quarters of the drafts, none and all of them included', () => {
    const state = { ...room, drafts: drafts(...Array.from({ length: 15 }, () => 1)) };
    expect(namedPlan('sparse', 16, state).outcomes.map(({ accepted }) => accepted)).toEqual([
      1, 5, 9, 12, 16,
    ]);
    expect(namedPlan('sparse', 16, { ...room, drafts: [] }).outcomes.map(({ accepted }) => accepted)).toEqual(
      [1],
    );
  });

  it('branches has one block for all accepted and two for the least sure drafts, corrected where there is a second best', () => {
    const [sure, unsure, last] = drafts(9, 0.5, 0.1);
    const state = { ...room, drafts: [sure!, unsure!, { ...last!, secondBest: -1 }] };
    expect(namedPlan('branches', 4, state)).toEqual({
      numDraftRows: 4,
      outcomes: [
        { accepted: 3, numMaskTokens: 4 },
        { accepted: 2, correction: 51, numMaskTokens: 4 },
        { accepted: 4, numMaskTokens: 4 },
      ],
    });
  });

  it('two-pass drafts without verifying and verifies without drafting, in turns', () => {
    expect(namedPlan('two-pass', 4, { ...room, drafts: [] })).toEqual({
      numDraftRows: 1,
      outcomes: [{ accepted: 1, numMaskTokens: 4 }],
    });
    expect(namedPlan('two-pass', 4, { ...room, drafts: drafts(1, 1, 1) })).toEqual({
      numDraftRows: 4,
      outcomes: [],
    });
  });
});
