import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ModelSession } from '../../device/device.ts';
import { openFixture } from '../../engine/testing.ts';
import { checkLaw } from './law.ts';

let session: ModelSession;
beforeAll(async () => {
  session = await openFixture('llama-tidar');
});
afterAll(() => session.dispose());

const PROMPTS = Array.from({ length: 8 }, (_, prompt) =>
  Array.from({ length: 9 }, (_unused, at) => (prompt * 13 + at * 7 + 3) % 46),
);
const OPTIONS = { model: 'llama-tidar', prompts: PROMPTS, maxTokens: 32, timeLimitMs: Infinity } as const;
const PLANS = { ...OPTIONS, plans: ['dense'] } as const;

/** The CPU, but for what is added to each logit in passes of so many rows. */
function disturbed(added: (numRows: number, row: number, id: number) => number): ModelSession {
  const { config, numBytesPerColumn, maxCandidates } = session;
  return {
    ...{ config, numBytesPerColumn, maxCandidates },
    createCache: (numSlots, capacity) => session.createCache(numSlots, capacity),
    dispose: () => Promise.resolve(),
    run: async (cache, batch) => {
      const output = await session.run(cache, batch);
      return {
        candidates: (index) => output.candidates(index),
        logits: (index) => output.logits(index).map((logit, id) => logit + added(batch.numRows, index, id)),
      };
    },
  };
}

describe('the law, on a device', () => {
  it('whose rows are the same in every pass: all texts are plain decoding’s, and no gap is a near-tie', async () => {
    const law = await checkLaw(session, PLANS);
    expect(law).toMatchObject({ numPrompts: 8, shapeDifference: 0, tolerance: 0, nearTies: [], broken: [] });
    expect(law).toMatchObject({ numNearTiePositions: 0, sampled: { numTexts: 8, numEqual: 8 } });
    expect(law.numTokens).toBe(8 * 32);
    expect(law.speeds.map(({ name }) => name)).toEqual(['plain', 'dense']);
    expect(law.speeds[0]!.tokensPerForward).toBe(1);
    expect(law.speeds[1]!.tokensPerForward).toBeGreaterThan(1);
  });

  it('that rounds by the shape of a pass: texts part at near-ties alone, and those are told', async () => {
    const noise = (numRows: number, row: number, id: number): number =>
      numRows > 4 ? 4 * Math.sin(numRows * 12.9898 + row * 78.233 + id * 37.719) : 0;
    const law = await checkLaw(disturbed(noise), PLANS);
    expect(law.shapeDifference).toBeGreaterThan(3);
    expect(law.tolerance).toBe(2 * law.shapeDifference);
    expect(law.broken).toEqual([]);
    expect(law.nearTies.length).toBeGreaterThan(0);
    expect(law.nearTies.every(({ gap }) => gap < law.tolerance)).toBe(true);
    expect(law.numNearTiePositions).toBeGreaterThanOrEqual(law.nearTies.length);
  });

  it('that is wrong in passes of one shape: a text that parts where nothing was near a tie breaks it', async () => {
    const law = await checkLaw(
      disturbed((numRows, _row, id) => (numRows === 20 && id === 9 ? 30 : 0)),
      PLANS,
    );
    expect(law.shapeDifference).toBe(0);
    expect(law.broken.length).toBeGreaterThan(0);
    expect(law.broken[0]).toMatchObject({ prompt: 1, plan: 'dense' });
  });

  it('is compared for as many prompts as there is time for, one at least', async () => {
    const law = await checkLaw(session, { ...PLANS, timeLimitMs: 0 });
    expect(law).toMatchObject({ numPrompts: 1, numAsked: 8 });
  });
});
