import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { temporaryFolder } from '../model/testing/temporary-folder.ts';
import { drawTrainingCurves } from './training-curve.ts';
import type { LogPoint } from './training-log.ts';
import { curveOf, readTrainingLog, thinOut } from './training-log.ts';

const point = (step: number, arLoss: number): LogPoint => ({ step, tokens: step * 1000, arLoss });

function writeLog(text: string): string {
  const path = join(temporaryFolder(), 'log.jsonl');
  writeFileSync(path, text);
  return path;
}

describe('a training log', () => {
  it('counts the last line of a step that was done twice, in the order of steps', () => {
    const lines = [point(1, 5), point(2, 4), point(3, 3), point(2, 3.5)];
    const path = writeLog(lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
    expect(readTrainingLog(path)).toEqual([point(1, 5), point(2, 3.5), point(3, 3)]);
  });

  it('leaves out a last line that is still being written, and names any other bad line', () => {
    const good = JSON.stringify(point(1, 5));
    expect(readTrainingLog(writeLog(`${good}\n{"step":2,"ar`))).toEqual([point(1, 5)]);
    expect(() => readTrainingLog(writeLog(`${good}\n{"step":2}\n`))).toThrow(
      'log.jsonl, line 2: expected step',
    );
  });
});

describe('a curve', () => {
  it('has the points where its loss was measured, over millions of tokens', () => {
    const points = [point(1, 5), { ...point(2000, 4), validArLoss: 4.5 }];
    expect(curveOf(points, 'validArLoss')).toEqual([[2, 4.5]]);
    expect(curveOf(points, 'diffusionLoss')).toEqual([]);
  });

  it('is thinned out to means', () => {
    expect(
      thinOut(
        [
          [1, 10],
          [3, 20],
          [5, 1],
          [7, 3],
          [9, 4],
        ],
        3,
      ),
    ).toEqual([
      [2, 15],
      [6, 2],
      [9, 4],
    ]);
    expect(thinOut([[1, 10]], 3)).toEqual([[1, 10]]);
  });

  it('is drawn where it has points, and named in the legend', () => {
    const points = Array.from({ length: 50 }, (_, i) => ({ ...point(i + 1, 5 / (i + 1)), diffusionLoss: 6 }));
    const measured = [...points, { ...point(51, 1), validArLoss: 1.25 }];
    const size = { width: 600, height: 400 };
    const one = drawTrainingCurves([{ name: 'demo', points: measured }], { title: 'A title', ...size });
    expect(one).toMatch(/^<svg [^>]*width="600" height="400"/);
    for (const label of ['A title', 'AR, training', 'diffusion, training', 'AR, held out']) {
      expect(one).toContain(`>${label}</text>`);
    }
    expect(one).not.toContain('diffusion, held out');
    const two = ['first', 'second'].map((name) => ({ name, points }));
    expect(drawTrainingCurves(two, size)).toContain('>second: AR, training</text>');
  });
});
