interface RowPoint {
  readonly numRows: number;
  readonly milliseconds: number;
}

/** Piecewise linear through measured points; past the last one it goes on as the last two points say. */
export class RowCurve {
  readonly #rows: Float64Array;
  readonly #milliseconds: Float64Array;

  constructor(points: readonly RowPoint[]) {
    const sorted = [...points].sort((a, b) => a.numRows - b.numRows);
    this.#rows = Float64Array.from(sorted, (point) => point.numRows);
    // More rows are never faster: where the clock says so, it was noise.
    let most = 0;
    this.#milliseconds = Float64Array.from(sorted, (point) => (most = Math.max(most, point.milliseconds)));
  }

  get least(): number {
    return this.#milliseconds[0] ?? 0;
  }

  at(numRows: number): number {
    const rows = this.#rows;
    const last = rows.length - 1;
    if (last < 1 || numRows <= (rows[0] ?? 0)) return this.least;
    let upper = 1;
    while (upper < last && (rows[upper] ?? 0) < numRows) upper++;
    const [x0 = 0, x1 = 1] = [rows[upper - 1], rows[upper]];
    const y0 = this.#milliseconds[upper - 1] ?? 0;
    const y1 = this.#milliseconds[upper] ?? 0;
    return y0 + ((y1 - y0) * (numRows - x0)) / (x1 - x0);
  }
}

/** Least squares with no slope below 0, by coordinate descent: [points][terms] → [terms]. */
export function fitSlopes(terms: readonly (readonly number[])[], values: readonly number[]): number[] {
  const numTerms = terms[0]?.length ?? 0;
  const slopes = Array.from({ length: numTerms }, () => 0);
  const rest = [...values];
  for (let round = 0; round < 200; round++) {
    for (let at = 0; at < numTerms; at++) {
      let product = 0;
      let square = 0;
      terms.forEach((row, point) => {
        product += (row[at] ?? 0) * (rest[point] ?? 0);
        square += (row[at] ?? 0) ** 2;
      });
      if (square === 0) continue;
      const before = slopes[at] ?? 0;
      const after = Math.max(0, before + product / square);
      slopes[at] = after;
      terms.forEach((row, point) => (rest[point] = (rest[point] ?? 0) - (after - before) * (row[at] ?? 0)));
    }
  }
  return slopes;
}
