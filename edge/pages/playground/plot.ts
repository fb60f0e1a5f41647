import 'uplot/dist/uPlot.min.css';
import uPlot from 'uplot';

export interface Plot {
  /** counts[n]: passes that decided n tokens. */
  draw(counts: readonly number[]): void;
  dispose(): void;
}

const HEIGHT = 132;

/** Bars over the lengths of accepted runs, as wide as its box. */
export function barPlot(box: HTMLElement): Plot {
  const axis: uPlot.Axis = {
    stroke: () => resolved(box, '--ink-soft'),
    grid: { show: false },
    ticks: { show: false },
    font: '12px sans-serif',
  };
  const bars = uPlot.paths.bars?.({ size: [0.72, 48], radius: 0.12 });
  const options: uPlot.Options = {
    width: Math.max(1, box.clientWidth),
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
        fill: () => resolved(box, '--accent'),
        width: 0,
        points: { show: false },
        ...(bars === undefined ? {} : { paths: bars }),
      },
    ],
  };
  const plot = new uPlot(options, [[], []], box);
  const observer = new ResizeObserver(() =>
    plot.setSize({ width: Math.max(1, box.clientWidth), height: HEIGHT }),
  );
  observer.observe(box);
  const look = matchMedia('(prefers-color-scheme: dark)');
  const redraw = (): void => void requestAnimationFrame(() => plot.redraw());
  look.addEventListener('change', redraw);
  const chosen = new MutationObserver(redraw);
  chosen.observe(document.documentElement, { attributeFilter: ['data-theme'] });
  return {
    draw(counts) {
      const lengths = counts.map((_, length) => length).slice(1);
      plot.setData([lengths, counts.slice(1)]);
    },
    dispose() {
      look.removeEventListener('change', redraw);
      chosen.disconnect();
      observer.disconnect();
      plot.destroy();
    },
  };
}

/** A colour of the page's, as it is now: a canvas knows no custom properties. */
function resolved(box: HTMLElement, name: string): string {
  box.style.color = `var(${name})`;
  const { color } = getComputedStyle(box);
  box.style.color = '';
  return color;
}
