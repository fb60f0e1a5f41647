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
    expect(rest.awake(inputs)).toEqual(inputs);
    rest.after(inputs, [ar(), ar()], 2);
    const numAsked = Array.from({ length: 16 }, () => rest.awake(inputs).length);
    expect(numAsked.indexOf(2)).toBe(12);
    expect(numAsked.slice(0, 12)).toEqual(new Array(12).fill(0));
  });

  it('are left alone where another joins or has drafts: only that one is asked, and rests if it drafts not', () => {
    const rest = new Rest();
    const [first, second, third] = [input(), input(), input()];
    rest.after([first, second], [ar(), ar()], 2);
    expect(rest.awake([first, second, third])).toEqual([third]);
    rest.after([third], [ar()], 3);
    expect(rest.awake([first, third])).toEqual([]);
    const drafting = { ...second, drafts };
    expect(rest.awake([first, drafting])).toEqual([drafting]);
  });

  it('are all asked as soon as one of them drafts', () => {
    const rest = new Rest();
    const [first, second] = [input(), input()];
    rest.after([first], [ar()], 1);
    expect(rest.awake([first, second])).toEqual([second]);
    rest.after([second], [dense(2)], 2);
    expect(rest.awake([first, second])).toEqual([first, second]);
  });
});
