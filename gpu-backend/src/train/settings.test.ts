import { describe, expect, it } from 'vitest';
import { layOutBatch, takenRows } from './batch.ts';
import { learningRateAt, ratesAgree, tokenWeights, trainingSettingsSchema } from './settings.ts';

const SETTINGS = trainingSettingsSchema.parse({ numTokens: 16, blockSizes: [4, 8], numWarmupSteps: 2 });

describe('what a run’s settings decide', () => {
  it('warms up linearly and ends its cosine at the final share', () => {
    const settings = { ...SETTINGS, numSteps: 100, numWarmupSteps: 10, learningRate: 1, finalShare: 0.1 };
    expect(learningRateAt(settings, 0)).toBeCloseTo(0.1);
    expect(learningRateAt(settings, 9)).toBeCloseTo(1);
    expect(learningRateAt(settings, 55)).toBeCloseTo(0.55);
    expect(learningRateAt(settings, 100)).toBeCloseTo(0.1);
  });

  it('stays at the full rate after warm-up, and falls in a straight line over the last steps where it decays', () => {
    const constant = trainingSettingsSchema.parse({
      schedule: 'constant',
      numWarmupSteps: 10,
      learningRate: 1,
    });
    expect([9, 10, 500, 10_000].map((step) => learningRateAt(constant, step))).toEqual([1, 1, 1, 1]);
    const decaying = trainingSettingsSchema.parse({
      ...constant,
      schedule: 'wsd',
      numSteps: 100,
      numDecaySteps: 40,
      finalShare: 0.2,
    });
    expect([9, 10, 59, 60].map((step) => learningRateAt(decaying, step))).toEqual([1, 1, 1, 1]);
    expect(learningRateAt(decaying, 80)).toBeCloseTo(0.6);
    expect(learningRateAt(decaying, 100)).toBeCloseTo(0.2);
    expect(() => trainingSettingsSchema.parse({ schedule: 'wsd' })).toThrow(/--decay/);
    expect(() => trainingSettingsSchema.parse({ numDecaySteps: 5 })).toThrow(/--decay/);
  });

  it('may change the schedule of steps to come alone', () => {
    const old = trainingSettingsSchema.parse({ schedule: 'constant', numSteps: 100 });
    const longer = { ...old, numSteps: 500 };
    const ended = trainingSettingsSchema.parse({
      ...old,
      schedule: 'wsd',
      numSteps: 400,
      numDecaySteps: 100,
    });
    expect(ratesAgree(old, longer, 100)).toBe(true);
    expect(ratesAgree(old, ended, 301)).toBe(true);
    expect(ratesAgree(old, ended, 302)).toBe(false);
    const cosine = trainingSettingsSchema.parse({ numSteps: 200 });
    expect(ratesAgree(cosine, { ...cosine, numSteps: 300 }, 150)).toBe(false);
  });

  it('counts answers fully and questions by their weight, in means that sum to one', () => {
    const sequence = [1, 9, 9, 5, 7, 8, 2, 1, 9, 5, 7, 2];
    const marks = { weight: 0.25, answerStartId: 5, answerEndId: 2 };
    const q = 0.25;
    const weights = tokenWeights(marks, sequence);
    expect([...weights]).toEqual([q, q, q, q, 1, 1, 1, q, q, q, 1, 1]);
    const diffusion = { maskTokenId: 3, blockSize: 4, window: 4 };
    const batch = layOutBatch([sequence], diffusion, () => weights);
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    // Mask row i predicts token i; AR row i predicts token i + 1, and no row predicts the first.
    const masks = [...batch.diffusion!.weights];
    masks.slice(12).forEach((share, at) => expect(share).toBeCloseTo(weights[at]! / total, 6));
    expect(masks.slice(0, 12).every((share) => share === 0)).toBe(true);
    expect(batch.arWeights[3]! / batch.arWeights[0]!).toBeCloseTo(4, 5);
    expect(batch.arWeights[11]).toBe(0);
    expect(batch.arWeights.reduce((sum, share) => sum + share, 0)).toBeCloseTo(1, 6);
  });

  it('takes the blocks that count most where there are fewer mask rows than tokens, and equal ones in turn', () => {
    const layout = { blockSize: 4, blockOffset: 3, window: 4 };
    const all = takenRows(16, layout, []);
    expect(new Set(all.map(({ position }) => position)).size).toBe(16);
    const startOf = (position: number): number => (position < 3 ? 0 : 3 + 4 * Math.floor((position - 3) / 4));
    all.forEach(({ position, blockStart }) => expect(blockStart).toBe(startOf(position)));
    const answers = Array.from({ length: 16 }, (_, at) => (at >= 9 && at < 14 ? 1 : 0.1));
    const taken = takenRows(16, { ...layout, numMaskRows: 8 }, answers);
    expect(taken).toEqual(all.slice(4, 12));
    const seen = new Set<number>();
    for (let turn = 0; turn < 4; turn += 1) {
      const rows = takenRows(16, { ...layout, numMaskRows: 4, turn }, []);
      expect(rows).toHaveLength(4);
      rows.forEach(({ position }) => seen.add(position));
    }
    expect(seen.size).toBe(16);
    expect(() => takenRows(16, { ...layout, numMaskRows: 6 }, [])).toThrow(/must divide/);
  });

  it('refuses block sizes that do not tile a sequence', () => {
    expect(() => trainingSettingsSchema.parse({ numTokens: 100, blockSizes: [16] })).toThrow(/must divide/);
    expect(() => trainingSettingsSchema.parse({ numTokens: 96, blockSizes: [5, 16] })).toThrow(/must divide/);
  });
});
