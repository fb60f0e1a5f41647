import uPlot from 'uplot';
import { colourOf, plainAxis, plotIn } from '../common/plot-base.ts';
import { shortNumber } from './format.ts';
import { type DaySeries, NUM_COLOURS } from './usage-data.ts';

export interface DayPlot {
  dispose(): void;
}

const HEIGHT = 220;

/** Days as bars, one part on top of the other. */
export function dayPlot(box: HTMLElement, { parts, days }: DaySeries, scale: number): DayPlot {
  const paths = uPlot.paths.bars?.({ size: [0.8, 40] });
  // The tallest first, so that the others are drawn over it.
  const sums = parts.map((_, part) => days.map(({ values }) => sumTo(values, part) / scale)).reverse();
  const axis = plainAxis(box);
  const options: Omit<uPlot.Options, 'width'> = {
    height: HEIGHT,
    legend: { show: false },
    cursor: { show: false },
    scales: {
      x: { time: false, range: [-0.6, Math.max(0, days.length - 1) + 0.6] },
      y: { range: (_, __, max) => [0, Math.max(1e-9, max * 1.08)] },
    },
    axes: [
      {
        ...axis,
        size: 28,
        incrs: [1, 2, 5, 10, 20, 50, 100],
        values: (_, at) => at.map((index) => days[index]?.day.slice(5) ?? ''),
      },
      { ...plainAxis(box, true), size: 64, values: (_, at) => at.map(shortNumber) },
    ],
    series: [
      {},
      ...sums.map((__, index) => ({
        fill: () => colourOf(box, `--series-${(parts.length - 1 - index) % NUM_COLOURS}`),
        width: 0,
        points: { show: false },
        ...(paths === undefined ? {} : { paths }),
      })),
    ],
  };
  return plotIn(box, options, [days.map((_, index) => index), ...sums]);
}

const sumTo = (values: readonly number[], last: number): number =>
  values.slice(0, last + 1).reduce((sum, value) => sum + value, 0);
