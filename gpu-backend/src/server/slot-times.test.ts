import { describe, expect, it } from 'vitest';
import type { PassStats } from './engine-messages.ts';
import { SlotTimes } from './slot-times.ts';

const pass = (numSequences: number, milliseconds: number, changes: Partial<PassStats> = {}): PassStats => ({
  ...{ numPasses: 1, numRows: 4, numDrafted: 4, numAccepted: 2, plan: 'auto' },
  ...{ numSequences, milliseconds },
  ...changes,
});

describe('the times of passes by texts', () => {
  it('are those that were served, in order, and none before', () => {
    const times = new SlotTimes();
    expect(times.curve).toEqual([]);
    for (const [numTexts, milliseconds] of [
      [8, 4],
      [1, 2],
      [1, 3],
      [8, 6],
    ] as const)
      times.add(pass(numTexts, milliseconds));
    expect(times.curve).toEqual([
      [1, 2.5],
      [8, 5],
    ]);
  });

  it('follow a machine that has become slower, and forget what it was', () => {
    const times = new SlotTimes();
    for (let turn = 0; turn < 1000; turn += 1) times.add(pass(1, 2));
    for (let turn = 0; turn < 200; turn += 1) times.add(pass(1, 10));
    expect(times.curve[0]![1]).toBeGreaterThan(9.9);
  });

  it('leave out prompts, and several passes that are told as one', () => {
    const times = new SlotTimes();
    times.add(pass(1, 50, { numDrafted: 0, numAccepted: 0 }));
    times.add(pass(1, 50, { numPasses: 4 }));
    expect(times.curve).toEqual([]);
  });
});
