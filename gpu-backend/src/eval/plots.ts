import { drawCurves } from '../cli/bench/plot.ts';
import type { Curve } from '../cli/bench/plot.ts';
import { PICTURE_WIDTH } from '../cli/bench/command.ts';
import type { RowFigures } from './figures.ts';
import { HEADLINE_ROW } from './rows.ts';

/** Quality against tokens per forward, a curve for each way to decode (the paper's figure 5). */
export function drawQuality(rows: readonly RowFigures[], title: string, subtitle: string): string {
  const families = Map.groupBy(
    rows.filter(({ mean, family }) => mean !== undefined && family !== 'β'),
    ({ family }) => family,
  );
  const curves = [...families].map(([name, members]): Curve => {
    const points = members.flatMap(({ mean }) => {
      if (mean === undefined) return [];
      const [x, y] = [mean.tokensPerForward.value, 100 * mean.score];
      const reach = 100 * mean.scoreHalfWidth;
      return [{ x, y, low: Math.max(0, y - reach), high: Math.min(100, y + reach) }];
    });
    return { name, points };
  });
  return drawCurves(curves, {
    ...{ title, subtitle, width: PICTURE_WIDTH },
    ...{ xName: 'tokens per forward pass', yName: 'score, %, mean over tasks' },
  });
}

/** Score by trust in the causal rows, of each task and of their mean (the paper's figure 6). */
export function drawTrust(rows: readonly RowFigures[], title: string, subtitle: string): string {
  const byTrust = rows
    .filter(({ id, family, notRun }) => (id === HEADLINE_ROW || family === 'β') && notRun === undefined)
    .flatMap(({ decoder, tasks, mean }) =>
      decoder.type === 'tidar' ? [{ beta: decoder.beta, tasks, mean }] : [],
    )
    .toSorted((a, b) => a.beta - b.beta);
  const names = [...new Set(byTrust.flatMap(({ tasks }) => Object.keys(tasks)))];
  const curves = names.map((name): Curve => {
    const points = byTrust.flatMap(({ beta, tasks }) => {
      const score = tasks[name]?.score;
      if (score === undefined) return [];
      return [{ x: beta, y: 100 * score.value, low: 100 * score.low, high: 100 * score.high }];
    });
    return { name, points };
  });
  const means = byTrust.flatMap(({ beta, mean }) =>
    mean === undefined ? [] : [{ x: beta, y: 100 * mean.score }],
  );
  const all = [
    ...curves.filter(({ points }) => points.length > 0),
    { name: 'mean', points: means, isDashed: true },
  ];
  return drawCurves(all, {
    ...{ title, subtitle, width: PICTURE_WIDTH },
    ...{ xName: 'β: 0 trusts diffusion, 1 trusts the causal rows', yName: 'score, %' },
  });
}
