import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { assertPlan } from '../plan.ts';
import type { Outcome, Plan } from '../plan.ts';
import type { Draft } from '../sequence.ts';
import { PlanChoice } from './plan-choice.ts';
import { DraftValues, SequenceOdds } from './sequence-odds.ts';
import { numPlanRows } from './simulation.ts';

const MAX = 3;
const unit = fc.double({ min: 0, max: 1, noNaN: true });

interface Case {
  readonly accepted: number[];
  readonly secondBest: number[];
  readonly values: number[];
  readonly endsText: boolean;
  readonly price: number;
  readonly numRemainingTokens: number;
}

const cases: fc.Arbitrary<Case> = fc.record({
  accepted: fc.array(unit, { maxLength: 2 }),
  secondBest: fc.array(unit, { minLength: 2, maxLength: 2 }),
  values: fc.array(fc.double({ min: 0, max: 6, noNaN: true }), { minLength: 9, maxLength: 9 }),
  endsText: fc.boolean(),
  price: fc.double({ min: 0.001, max: 1.5, noNaN: true }),
  numRemainingTokens: fc.integer({ min: 1, max: 6 }),
});

function setUp({ accepted, secondBest, values, endsText }: Case): {
  odds: SequenceOdds;
  next: DraftValues;
  drafts: Draft[];
} {
  const odds = new SequenceOdds(MAX);
  odds.numDrafts = accepted.length;
  odds.endsText = endsText && accepted.length > 0;
  accepted.forEach((probability, at) => {
    odds.accepted[at] = probability;
    odds.secondBest[at] = secondBest[at]!;
    odds.survival[at + 1] = odds.survival[at]! * probability;
  });
  const next = new DraftValues(MAX);
  for (let origin = 0; origin < 3; origin++) {
    const sorted = values.slice(3 * origin, 3 * origin + 3).sort((a, b) => a - b);
    sorted.forEach((value, at) => (next.values[origin * (MAX + 1) + at + 1] = value));
  }
  const drafts = accepted.map((_, at) => ({ tokenId: 10 + at, secondBest: 20 + at, margin: 1 }));
  return { odds, next, drafts };
}

/** Every plan for these drafts, by brute force. */
function* allPlans(
  drafts: readonly Draft[],
  maxDraftRows: number,
  numRemainingTokens: number,
): Generator<Plan> {
  const blocksAfter = (accepted: number, correction?: number): (Outcome | undefined)[] => {
    const most = Math.min(MAX, numRemainingTokens - accepted);
    const blocks: (Outcome | undefined)[] = [undefined];
    for (let masks = 1; masks <= most; masks++) blocks.push({ accepted, numMaskTokens: masks });
    if (correction === undefined) return blocks;
    return [
      undefined,
      ...Array.from({ length: Math.max(0, most) }, (_, numMaskTokens) => ({
        accepted,
        correction,
        numMaskTokens,
      })),
    ];
  };
  function* outcomesUpTo(depth: number, last: number): Generator<Outcome[]> {
    if (depth > last) {
      yield [];
      return;
    }
    const corrections = depth < last ? blocksAfter(depth, drafts[depth - 1]!.secondBest) : [undefined];
    for (const rest of outcomesUpTo(depth + 1, last))
      for (const corrected of corrections)
        for (const blind of blocksAfter(depth))
          yield [corrected, blind, ...rest].filter((one) => one !== undefined);
  }
  for (let numDraftRows = 1; numDraftRows <= maxDraftRows; numDraftRows++)
    for (const outcomes of outcomesUpTo(1, numDraftRows)) yield { numDraftRows, outcomes };
}

/** Tokens now and the worth of what follows, straight from the definition of a plan. */
function valueOf(plan: Plan, odds: SequenceOdds, next: DraftValues): number {
  let value = 0;
  for (let accepted = 1; accepted <= plan.numDraftRows; accepted++) {
    const reached = odds.survival[accepted - 1]!;
    value += reached;
    const isLast = accepted === plan.numDraftRows;
    const isEnd = odds.endsText && accepted === odds.numDrafts;
    const ended = odds.endsText ? odds.survival[odds.numDrafts]! : 0;
    const probability = isLast ? reached - ended : reached * (1 - odds.accepted[accepted - 1]!);
    const blocks = plan.outcomes.filter((outcome) => outcome.accepted === accepted);
    const corrected = blocks.find((outcome) => outcome.correction !== undefined);
    const blind = blocks.find((outcome) => outcome.correction === undefined);
    const hit = corrected === undefined ? 0 : odds.secondBest[accepted - 1]!;
    if (corrected !== undefined)
      value += probability * hit * next.value(2, Math.max(1, corrected.numMaskTokens));
    if (blind !== undefined)
      value += probability * (1 - hit) * next.value(isLast && !isEnd ? 0 : 1, blind.numMaskTokens - 1);
  }
  return value;
}

describe('the choice of a plan at a price', () => {
  it('is the best of all plans there are, in every small case', () => {
    fc.assert(
      fc.property(cases, (one) => {
        const { odds, next, drafts } = setUp(one);
        const choice = new PlanChoice(MAX);
        const { numRemainingTokens, price } = one;
        choice.prepare(odds, next, { maxDraftRows: MAX, maxMaskTokens: MAX, numRemainingTokens });
        choice.choose(price);
        const plan = choice.toPlan(drafts);
        assertPlan(
          plan,
          drafts.map((draft) => draft.tokenId),
        );
        expect(numPlanRows(plan)).toBe(choice.numRows);
        expect(choice.value).toBeCloseTo(valueOf(plan, odds, next), 9);
        const maxDraftRows = Math.min(MAX, numRemainingTokens, drafts.length + (odds.endsText ? 0 : 1));
        let best = -Infinity;
        for (const other of allPlans(drafts, maxDraftRows, numRemainingTokens))
          best = Math.max(best, valueOf(other, odds, next) - price * numPlanRows(other));
        expect(choice.value - price * choice.numRows).toBeCloseTo(best, 9);
      }),
      { numRuns: 300 },
    );
  });

  it('never has more rows at a higher price', () => {
    fc.assert(
      fc.property(cases, fc.double({ min: 1, max: 4, noNaN: true }), (one, factor) => {
        const { odds, next } = setUp(one);
        const choice = new PlanChoice(MAX);
        choice.prepare(odds, next, {
          maxDraftRows: MAX,
          maxMaskTokens: MAX,
          numRemainingTokens: one.numRemainingTokens,
        });
        choice.choose(one.price);
        const numRows = choice.numRows;
        choice.choose(one.price * factor);
        expect(choice.numRows).toBeLessThanOrEqual(numRows);
      }),
    );
  });

  it('buys nothing at a price that nothing is worth', () => {
    fc.assert(
      fc.property(cases, (one) => {
        const { odds, next, drafts } = setUp(one);
        const choice = new PlanChoice(MAX);
        choice.prepare(odds, next, { maxDraftRows: MAX, maxMaskTokens: MAX, numRemainingTokens: 9 });
        choice.choose(64);
        expect(choice.toPlan(drafts)).toEqual({ numDraftRows: 1, outcomes: [] });
      }),
    );
  });
});
