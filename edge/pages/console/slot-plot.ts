import type uPlot from 'uplot';
import { colourOf, plainAxis, plotIn } from '../common/plot-base.ts';

const HEIGHT = 130;

/** What a pass takes by how many texts share it. */
export function slotPlot(
  box: HTMLElement,
  curve: readonly (readonly [number, number])[],
): { dispose(): void } {
  const options: Omit<uPlot.Options, 'width'> = {
    height: HEIGHT,
    legend: { show: false },
    cursor: { show: false },
    scales: { x: { time: false }, y: { range: (_, __, max) => [0, Math.max(1e-3, max * 1.15)] } },
    axes: [
      { ...plainAxis(box), size: 28, incrs: [1, 2, 4, 8, 16, 32, 64] },
      { ...plainAxis(box, true), size: 44 },
    ],
    series: [
      {},
      {
        stroke: () => colourOf(box, '--accent'),
        width: 2,
        points: { show: true, size: 7, fill: () => colourOf(box, '--accent'), width: 0 },
      },
    ],
  };
  return plotIn(box, options, [curve.map(([texts]) => texts), curve.map(([, milliseconds]) => milliseconds)]);
}
