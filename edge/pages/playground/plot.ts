import uPlot from 'uplot';
import { colourOf, plainAxis, plotIn } from '../common/plot-base.ts';

export interface Plot {
  /** counts[n]: passes that decided n tokens. */
  draw(counts: readonly number[]): void;
  dispose(): void;
}

const HEIGHT = 132;

/** Bars over the lengths of accepted runs, as wide as its box. */
export function barPlot(box: HTMLElement): Plot {
  const axis = plainAxis(box);
  const bars = uPlot.paths.bars?.({ size: [0.72, 48], radius: 0.12 });
  const options: Omit<uPlot.Options, 'width'> = {
    height: HEIGHT,
    legend: { show: false },
    cursor: { show: false },
    scales: {
      x: { time: false, range: (_, __, max) => [0.4, max + 0.6] },
      y: { range: (_, __, max) => [0, Math.max(1, max * 1.08)] },
    },
    axes: [
      { ...axis, size: 24, incrs: [1, 2, 4, 8, 16] },
      { ...axis, size: 36, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000] },
    ],
    series: [
      {},
      {
        fill: () => colourOf(box, '--accent'),
        width: 0,
        points: { show: false },
        ...(bars === undefined ? {} : { paths: bars }),
      },
    ],
  };
  const { plot, dispose } = plotIn(box, options, [[], []]);
  return {
    draw(counts) {
      const lengths = counts.map((_, length) => length).slice(1);
      plot.setData([lengths, counts.slice(1)]);
    },
    dispose,
  };
}
