import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LatencyModel } from './latency.ts';
import type { LatencyPoint } from './latency.ts';
import { measureLatency, shapesToMeasure } from './measure-latency.ts';

const truth = (numRows: number, numSequences: number, numContextTokens: number): number =>
  1 +
  0.05 * numRows +
  0.1 * numSequences +
  0.0002 * numSequences * numContextTokens +
  1e-5 * numRows * numContextTokens;

function pointsOf(limits: {
  maxRows: number;
  maxSequences: number;
  maxContextTokens: number;
}): LatencyPoint[] {
  return shapesToMeasure(limits).map((shape) => ({
    ...shape,
    milliseconds: truth(shape.numRows, shape.numSequences, shape.numContextTokens),
  }));
}

const LIMITS = { maxRows: 256, maxSequences: 8, maxContextTokens: 1024 };

describe('a latency model', () => {
  it('gives back what was measured, and a straight line between', () => {
    const points = [2, 4, 12, 40].map((numRows, at) => {
      return { numRows, numSequences: 1, numContextTokens: 64, milliseconds: [1, 1.5, 1.6, 4][at]! };
    });
    const model = new LatencyModel(points);
    for (const point of points)
      expect(model.milliseconds(point.numRows, 1, 64)).toBeCloseTo(point.milliseconds, 12);
    expect(model.milliseconds(3, 1, 64)).toBeCloseTo(1.25, 12);
    expect(model.milliseconds(68, 1, 64)).toBeCloseTo(6.4, 12);
    expect(model.milliseconds(1, 1, 64)).toBe(1);
  });

  it('finds what sequences and context cost beside rows', () => {
    const model = new LatencyModel(pointsOf(LIMITS));
    for (const [rows, sequences, context] of [
      [8, 4, 256],
      [64, 8, 900],
      [24, 2, 128],
      [256, 1, 512],
    ] as const) {
      const expected = truth(rows, sequences, context);
      expect(model.milliseconds(rows, sequences, context)).toBeCloseTo(expected, 3);
    }
  });

  it('never says that more rows are faster, whatever the clock said', () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: 0.1, max: 10, noNaN: true }), { minLength: 1, maxLength: 8 }),
        (times) => {
          const points = times.map((milliseconds, at) => {
            return { numRows: 2 ** at, numSequences: 1, numContextTokens: 0, milliseconds };
          });
          const model = new LatencyModel(points);
          for (let rows = 2; rows < 300; rows++)
            expect(model.milliseconds(rows, 1, 0)).toBeGreaterThanOrEqual(
              model.milliseconds(rows - 1, 1, 0) * (1 - 1e-12),
            );
        },
      ),
    );
  });

  it('comes to what passes really take, although one in ten is interrupted', () => {
    const model = new LatencyModel(pointsOf(LIMITS));
    const real = (rows: number): number => truth(rows, 1, 128) * (rows > 30 ? 1.8 : 1.2);
    for (let pass = 0; pass < 4000; pass++) {
      const numRows = [2, 8, 17, 33, 64][pass % 5]!;
      const milliseconds = real(numRows) * (pass % 10 === 7 ? 30 : 1);
      model.observe({ numRows, numSequences: 1, numContextTokens: 128, milliseconds });
    }
    for (const rows of [2, 8, 33, 64])
      expect(Math.abs(Math.log(model.milliseconds(rows, 1, 128) / real(rows)))).toBeLessThan(0.15);
  });

  it('ignores a clock that stood still', () => {
    const model = new LatencyModel(pointsOf(LIMITS));
    const before = model.milliseconds(8, 1, 128);
    model.observe({ numRows: 8, numSequences: 1, numContextTokens: 128, milliseconds: 0 });
    expect(model.milliseconds(8, 1, 128)).toBe(before);
  });

  it('travels as JSON without what was learned in passing', () => {
    const model = new LatencyModel(pointsOf(LIMITS));
    const before = model.milliseconds(24, 2, 300);
    for (let pass = 0; pass < 50; pass++)
      model.observe({ numRows: 24, numSequences: 2, numContextTokens: 300, milliseconds: 9 });
    const copy = LatencyModel.parse(JSON.parse(JSON.stringify(model)));
    expect(copy.milliseconds(24, 2, 300)).toBe(before);
    expect(() => LatencyModel.parse({ version: 1, points: [{ numRows: 0 }] })).toThrow();
    expect(() => LatencyModel.parse({ version: 1, points: [] })).toThrow();
  });
});

describe('measuring latencies', () => {
  function fakeDevice(disturb: (call: number) => number) {
    let clock = 0;
    const calls: string[] = [];
    const time = (...shape: [number, number, number]): Promise<number> => {
      const milliseconds = truth(...shape) * disturb(calls.length);
      calls.push(shape.join());
      clock += milliseconds;
      return Promise.resolve(milliseconds);
    };
    return { time, calls, now: () => clock };
  }

  it('takes the median of rounds over all shapes, so that a disturbance falls on all and counts for none', async () => {
    const { time, calls, now } = fakeDevice((call) => (call % 7 === 3 ? 40 : 1));
    const points = await measureLatency(time, { ...LIMITS, budgetMs: 1e9, now });
    for (const { numRows, numSequences, numContextTokens, milliseconds } of points)
      expect(milliseconds).toBeCloseTo(truth(numRows, numSequences, numContextTokens), 9);
    const first = calls.slice(0, points.length);
    expect(new Set(first).size).toBe(points.length);
    expect(calls.slice(points.length, 2 * points.length)).toEqual([...first].reverse());
  });

  it('keeps to its budget, but has every shape once', async () => {
    for (const budgetMs of [0, 500, 2000]) {
      const { time, calls, now } = fakeDevice(() => 1);
      const points = await measureLatency(time, { ...LIMITS, budgetMs, now });
      const oneRound = points.reduce((sum, point) => sum + point.milliseconds, 0);
      expect(now()).toBeLessThanOrEqual(Math.max(budgetMs, oneRound) + 1e-6);
      expect(calls.length % points.length).toBe(0);
    }
  });

  it('asks for nothing that the engine has no room for', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 2, max: 600 }),
        fc.integer({ min: 1, max: 64 }),
        fc.integer({ min: 16, max: 9000 }),
        (maxRows, maxSequences, maxContextTokens) => {
          const shapes = shapesToMeasure({ maxRows, maxSequences, maxContextTokens });
          expect(new Set(shapes.map((shape) => JSON.stringify(shape))).size).toBe(shapes.length);
          for (const shape of shapes) {
            expect(shape.numRows).toBeGreaterThanOrEqual(2);
            expect(shape.numRows).toBeLessThanOrEqual(maxRows);
            expect(shape.numSequences).toBeLessThanOrEqual(maxSequences);
            expect(shape.numContextTokens).toBeLessThanOrEqual(maxContextTokens);
          }
        },
      ),
    );
  });
});
