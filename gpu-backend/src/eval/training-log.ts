import { readFileSync } from 'node:fs';
import { z } from 'zod';

const schema = z.object({
  step: z.number(),
  tokens: z.number(),
  arLoss: z.number(),
  diffusionLoss: z.number().optional(),
  validArLoss: z.number().optional(),
  validDiffusionLoss: z.number().optional(),
});
/** What a curve needs of a line of the trainer's log.jsonl. */
export type LogPoint = z.infer<typeof schema>;

export type Loss = 'arLoss' | 'diffusionLoss' | 'validArLoss' | 'validDiffusionLoss';

/**
 * Reads a run's log.jsonl. A run that was stopped and went on from its checkpoint has some steps twice: the
 * last line of a step counts. A last line without its end is still being written, and is left out.
 */
export function readTrainingLog(path: string): LogPoint[] {
  const lines = readFileSync(path, 'utf8').split('\n').slice(0, -1);
  const bySteps = new Map<number, LogPoint>();
  for (const [i, line] of lines.entries()) {
    const point = parseLine(line, `${path}, line ${i + 1}`);
    bySteps.set(point.step, point);
  }
  return [...bySteps.values()].toSorted((a, b) => a.step - b.step);
}

function parseLine(line: string, place: string): LogPoint {
  try {
    return schema.parse(JSON.parse(line));
  } catch (error) {
    throw new RangeError(`${place}: expected step, tokens and losses of the trainer.`, { cause: error });
  }
}

/** A loss over millions of tokens, as [tokens, loss] pairs. */
export type Curve = [number, number][];

/** The points of one loss, where it was measured. */
export function curveOf(points: readonly LogPoint[], loss: Loss): Curve {
  return points.flatMap((point): Curve => {
    const value = point[loss];
    return value === undefined ? [] : [[point.tokens / 1e6, value]];
  });
}

/** At most `maxPoints` points, each the mean of the points between the one before and itself. */
export function thinOut(curve: Curve, maxPoints: number): Curve {
  const groupSize = Math.ceil(curve.length / maxPoints);
  if (groupSize <= 1) return curve;
  const thinned: Curve = [];
  for (let start = 0; start < curve.length; start += groupSize) {
    const group = curve.slice(start, start + groupSize);
    const mean = (axis: 0 | 1): number => group.reduce((sum, point) => sum + point[axis], 0) / group.length;
    thinned.push([mean(0), mean(1)]);
  }
  return thinned;
}
