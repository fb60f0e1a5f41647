import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Guard } from './guard.ts';

/** Passes of eight texts; drafting gives `gain` times plain decoding's rate. Returns how many were plain. */
function run(guard: Guard, numPasses: number, gain: number): number {
  let numPlain = 0;
  for (let pass = 0; pass < numPasses; pass++) {
    if (guard.isClosed(8)) numPlain += 1;
    else guard.observe(8, { numDecoded: 8, numTokens: 8 * 3 * gain, milliseconds: 6, plainMilliseconds: 2 });
  }
  return numPlain;
}

describe('plans that gave less than plain decoding would have', () => {
  it('are given up for longer and longer, but tried again', () => {
    const guard = new Guard();
    expect(run(guard, 48, 0.9)).toBe(0);
    expect(run(guard, 192, 0.9)).toBe(192);
    expect(run(guard, 48, 0.9)).toBe(0);
    expect(run(guard, 384, 0.9)).toBe(384);
    expect(run(guard, 48, 0.9)).toBe(0);
  });

  it('cost at most a sixteenth of the passes in the long run, whatever they lose', () => {
    fc.assert(
      fc.property(fc.double({ min: 0.1, max: 1, noNaN: true }), (gain) => {
        const numPlain = run(new Guard(), 20_000, gain);
        expect(20_000 - numPlain).toBeLessThan(20_000 / 15);
      }),
    );
  });

  it('are free again when they give more, and are never given up while they do', () => {
    const guard = new Guard();
    run(guard, 5_000, 0.9);
    run(guard, 768, 1.5);
    expect(run(guard, 10_000, 1.5)).toBe(0);
  });

  it('of few texts say nothing of many', () => {
    const guard = new Guard();
    run(guard, 48, 0.9);
    expect(guard.isClosed(8)).toBe(true);
    expect(guard.isClosed(32)).toBe(false);
  });
});
