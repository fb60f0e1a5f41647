import { LatencyModel } from '../../engine/planner/latency.ts';
import { ShapeTimer } from '../../engine/time-shape.ts';
import { median } from './interval.ts';
import type { Measured } from './subject.ts';

const ROWS = [2, 3, 4, 6, 8, 10, 12, 16, 20, 24, 32, 48, 64, 80, 128, 272];

export interface SlotPoint {
  readonly numRows: number;
  readonly milliseconds: number;
}

/**
 * What passes of one sequence cost, by rows: measured a little in every round of a bench, so that the curve and the
 * bench saw the same machine. One row is that of plain decoding as others run it.
 */
export class SlotCurve {
  readonly #law: ShapeTimer;
  readonly #singleRow: ShapeTimer;
  readonly #times = new Map<number, number[]>([1, ...ROWS].map((numRows) => [numRows, []]));

  constructor(law: Measured, singleRow: Measured) {
    this.#law = new ShapeTimer(law.session);
    this.#singleRow = new ShapeTimer(singleRow.session);
  }

  /** One pass of each size, in caches of so many columns. */
  async measure(numColumns: number): Promise<void> {
    for (const [numRows, times] of this.#times) {
      const { time } = numRows === 1 ? this.#singleRow : this.#law;
      // In a text a pass follows one like it, whose weights are still in the processor's caches.
      await time(numRows, 1, numColumns);
      times.push(await time(numRows, 1, numColumns));
    }
  }

  get points(): SlotPoint[] {
    return [...this.#times].map(([numRows, times]) => ({ numRows, milliseconds: median(times) }));
  }

  /** Piecewise linear, from two rows on. */
  cost(): (numRows: number) => number {
    const points = this.points.filter(({ numRows }) => numRows > 1);
    const model = new LatencyModel(
      points.map((point) => ({ ...point, numSequences: 1, numContextTokens: 0 })),
    );
    return (numRows) => model.milliseconds(numRows, 1, 0);
  }

  dispose(): void {
    this.#law.dispose();
    this.#singleRow.dispose();
  }
}
