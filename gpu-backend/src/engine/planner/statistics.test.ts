import { describe, expect, it } from 'vitest';
import type { Draft } from '../sequence.ts';
import { AcceptanceTable, acceptanceCell, marginBin } from './acceptance-table.ts';
import { BlockSamples } from './block-samples.ts';
import { sigmoid, SequenceStatistics } from './statistics.ts';

const SURE = 8;
const UNSURE = 0.3;

function block(tokenIds: readonly number[], margin = SURE): Draft[] {
  return tokenIds.map((tokenId) => ({ tokenId, secondBest: tokenId + 100, margin }));
}

function fresh(table = new AcceptanceTable()): { table: AcceptanceTable; statistics: SequenceStatistics } {
  return { table, statistics: new SequenceStatistics(table, new BlockSamples(table, 8)) };
}

const probability = (table: AcceptanceTable, depth: number, margin: number): number =>
  sigmoid(table.logOdds(acceptanceCell(0, depth, marginBin(margin))));

describe('acceptance statistics', () => {
  it('come to the frequencies of each margin and depth, whatever was believed before', () => {
    const { table } = fresh();
    for (let draw = 0; draw < 3000; draw++) {
      table.observeDraft(acceptanceCell(0, 1, marginBin(SURE)), draw % 10 !== 0);
      table.observeDraft(acceptanceCell(0, 4, marginBin(UNSURE)), draw % 10 === 0);
    }
    expect(probability(table, 1, SURE)).toBeCloseTo(0.9, 1);
    expect(probability(table, 4, UNSURE)).toBeCloseTo(0.1, 1);
  });

  it('carry what one depth shows over to depths that nothing is known of', () => {
    const { table } = fresh();
    const before = probability(table, 8, SURE);
    for (let draw = 0; draw < 200; draw++) table.observeDraft(acceptanceCell(0, 1, marginBin(SURE)), false);
    expect(probability(table, 8, SURE)).toBeLessThan(before / 4);
  });

  it('stay probabilities when only one thing ever happens', () => {
    for (const isAccepted of [true, false]) {
      const { table } = fresh();
      for (let draw = 0; draw < 5000; draw++) table.observeDraft(acceptanceCell(0, 1, 3), isAccepted);
      expect(Number.isFinite(table.logOdds(acceptanceCell(0, 1, 3)))).toBe(true);
    }
  });

  it('travel as JSON', () => {
    const { table, statistics } = fresh();
    statistics.observe([1], block([2, 3, 4]), 'full');
    statistics.observe([2, 3, 104], [], 'blind');
    const copy = AcceptanceTable.parse(JSON.parse(JSON.stringify(table)));
    expect(copy.toJSON()).toEqual(table.toJSON());
    expect(copy.toJSON().secondBestHits[marginBin(SURE)]).toBe(1);
    expect(() => AcceptanceTable.parse({ ...table.toJSON(), accepted: [1] })).toThrow();
  });
});

describe('a sequence’s statistics', () => {
  it('give up on a text after a few rejections that the table was sure could not happen, and come back', () => {
    const { table, statistics } = fresh();
    for (let draw = 0; draw < 1000; draw++) table.observeDraft(acceptanceCell(0, 1, marginBin(SURE)), true);
    expect(sigmoid(statistics.logOdds(SURE, 0))).toBeGreaterThan(0.97);
    for (let step = 0; step < 6; step++) statistics.observe([9], block([1, 2]), 'full');
    expect(sigmoid(statistics.logOdds(SURE, 0))).toBeLessThan(0.5);
    for (let step = 0; step < 12; step++) statistics.observe([1, 2, 3], block([1, 2]), 'full');
    expect(sigmoid(statistics.logOdds(SURE, 0))).toBeGreaterThan(0.8);
  });

  it('are not shaken where the drafts fare as the table says', () => {
    const { table, statistics } = fresh();
    for (let draw = 0; draw < 1000; draw++)
      table.observeDraft(acceptanceCell(0, 1, marginBin(SURE)), draw % 2 === 0);
    for (let step = 0; step < 200; step++) statistics.observe([step % 2 === 0 ? 1 : 9], block([1]), 'full');
    expect(Math.abs(statistics.shift)).toBeLessThan(1);
  });

  it('learn from drafts that no row verified, as the text comes to them', () => {
    const { table, statistics } = fresh();
    statistics.observe([1], block([2, 3, 4]), 'full');
    statistics.observe([2], [], 'full');
    expect(statistics.isTracking).toBe(true);
    statistics.observe([3], [], 'full');
    statistics.observe([7], [], 'full');
    expect(statistics.isTracking).toBe(false);
    const { accepted, observed } = table.toJSON();
    const cells = [1, 2, 3].map((depth) => acceptanceCell(0, depth, marginBin(SURE)));
    expect(cells.map((cell) => [accepted[cell], observed[cell]])).toEqual([
      [1, 1],
      [1, 1],
      [0, 1],
    ]);
  });

  it('count no draft twice where the engine keeps unverified ones', () => {
    const { table, statistics } = fresh();
    const drafts = block([2, 3, 4]);
    statistics.observe([1], drafts, 'full');
    statistics.observe([2], drafts.slice(1), 'full');
    statistics.observe([3], drafts.slice(2), 'full');
    statistics.observe([4], [], 'full');
    expect(table.toJSON().observed.reduce((sum, count) => sum + count, 0)).toBe(3);
  });

  it('know the origin of the drafts at hand', () => {
    const { statistics } = fresh();
    statistics.observe([1], block([2]), 'corrected');
    expect(statistics.origin).toBe(2);
    statistics.observe([2, 5], block([6]), 'blind');
    expect(statistics.origin).toBe(1);
  });
});
