import { describe, expect, it } from 'vitest';
import { ar, dense } from '../plan.ts';
import { AcceptanceTable } from './acceptance-table.ts';
import { BlockSamples } from './block-samples.ts';
import type { PlannerInput } from './planner.ts';
import { Rest } from './rest.ts';
import { SequenceStatistics } from './statistics.ts';

const table = new AcceptanceTable();
const samples = new BlockSamples(table, 8);
const input = (): PlannerInput => ({
  drafts: [],
  statistics: new SequenceStatistics(table, samples),
  numRemainingTokens: 50,
  numPositions: 50,
  numContextTokens: 50,
  endTokenIds: new Set(),
});
const drafts = [{ tokenId: 1, secondBest: 2, margin: 3 }];

describe('texts that are decoded plainly', () => {
  it('are not asked for some steps, and then again', () => {
    const rest = new Rest();
    const inputs = [input(), input()];
    expect(rest.takes(inputs)).toBe(false);
    rest.after([ar(), ar()], inputs);
    const answers = Array.from({ length: 16 }, () => rest.takes(inputs));
    expect(answers.indexOf(false)).toBe(12);
    expect(answers.slice(12)).not.toContain(true);
  });

  it.each<{ change: string; next: (inputs: PlannerInput[]) => PlannerInput[] }>([
    { change: 'one has drafts', next: ([first, second]) => [first!, { ...second!, drafts }] },
    { change: 'one joins', next: (inputs) => [...inputs, input()] },
    { change: 'one leaves', next: ([first]) => [first!] },
    { change: 'one is another', next: ([first]) => [first!, input()] },
  ])('are asked at once where $change', ({ next }) => {
    const rest = new Rest();
    const inputs = [input(), input()];
    rest.after([ar(), ar()], inputs);
    expect(rest.takes(inputs)).toBe(true);
    expect(rest.takes(next(inputs))).toBe(false);
    expect(rest.takes(inputs)).toBe(false);
  });

  it('are asked at every step while any of them drafts', () => {
    const rest = new Rest();
    const inputs = [input(), input()];
    rest.after([ar(), dense(2)], inputs);
    expect(rest.takes(inputs)).toBe(false);
  });
});
