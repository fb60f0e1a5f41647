import uPlot from 'uplot';

export interface KeptPlot {
  readonly plot: uPlot;
  readonly dispose: () => void;
}

/**
 * A plot as wide as its box, drawn anew when the look changes. Only what is imported when it is needed imports this; its
 * style, `uplot/dist/uPlot.min.css`, is the page's to import.
 */
export function plotIn(
  box: HTMLElement,
  options: Omit<uPlot.Options, 'width'>,
  data: uPlot.AlignedData,
): KeptPlot {
  const width = (): number => Math.max(1, box.clientWidth);
  const plot = new uPlot({ ...options, width: width() }, data, box);
  const observer = new ResizeObserver(() => plot.setSize({ width: width(), height: options.height }));
  observer.observe(box);
  const look = matchMedia('(prefers-color-scheme: dark)');
  const redraw = (): void => void requestAnimationFrame(() => plot.redraw());
  look.addEventListener('change', redraw);
  const chosen = new MutationObserver(redraw);
  chosen.observe(document.documentElement, { attributeFilter: ['data-theme'] });
  return {
    plot,
    dispose: () => {
      look.removeEventListener('change', redraw);
      chosen.disconnect();
      observer.disconnect();
      plot.destroy();
    },
  };
}

/** An axis in the page's own colours; lines across the plot where `hasGrid`. */
export function plainAxis(box: HTMLElement, hasGrid = false): uPlot.Axis {
  return {
    stroke: () => colourOf(box, '--ink-soft'),
    grid: hasGrid ? { stroke: () => colourOf(box, '--line'), width: 1 } : { show: false },
    ticks: { show: false },
    font: '12px sans-serif',
  };
}

/** A colour of the page's, as it is now: a canvas knows no custom properties. */
export function colourOf(box: HTMLElement, name: string): string {
  box.style.color = `var(${name})`;
  const { color } = getComputedStyle(box);
  box.style.color = '';
  return color;
}
