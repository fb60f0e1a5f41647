import type { JSX } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import type { Plot } from './plot.ts';

interface HistogramProps {
  /** counts[n]: passes that decided n tokens. */
  readonly counts: readonly number[];
  readonly isLive: boolean;
}

/** While an answer comes, the plot follows it at this pace. */
const LIVE_MS = 250;

/** The plotting library comes when it is needed; a page that cannot have it still has the table. */
async function loadPlot(): Promise<((box: HTMLElement) => Plot) | undefined> {
  try {
    return (await import('./plot.ts')).barPlot;
  } catch (error) {
    console.warn('The plot could not be loaded.', error);
    return undefined;
  }
}

/** How long the accepted runs were. The plot is for the eye; the table says the same. */
export function Histogram({ counts, isLive }: HistogramProps): JSX.Element {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<Plot | undefined>(undefined);
  const latest = useRef(counts);
  const drawnAt = useRef(0);
  latest.current = counts;
  useEffect(() => {
    let isGone = false;
    void loadPlot().then((barPlot) => {
      if (isGone || box.current === null || barPlot === undefined) return;
      plot.current = barPlot(box.current);
      plot.current.draw(latest.current);
    });
    return () => {
      isGone = true;
      plot.current?.dispose();
    };
  }, []);
  useEffect(() => {
    const draw = (): void => {
      drawnAt.current = performance.now();
      plot.current?.draw(latest.current);
    };
    const wait = isLive ? drawnAt.current + LIVE_MS - performance.now() : 0;
    if (wait <= 0) return draw();
    // The last change is drawn too, where no other follows soon.
    const timer = setTimeout(draw, wait);
    return () => clearTimeout(timer);
  });
  const rows = counts.map((numPasses, length) => ({ length, numPasses })).filter(({ length }) => length > 0);
  return (
    <figure class="histogram">
      <figcaption>Tokens that a pass decided</figcaption>
      <div ref={box} class="plot" aria-hidden="true" />
      <div class="visually-hidden">
        <table>
          <caption>Passes by the number of tokens that they decided</caption>
          <thead>
            <tr>
              <th scope="col">Tokens</th>
              <th scope="col">Passes</th>
            </tr>
          </thead>
          <tbody>
            {rows.map(({ length, numPasses }) => (
              <tr key={length}>
                <td>{length}</td>
                <td>{numPasses}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </figure>
  );
}
