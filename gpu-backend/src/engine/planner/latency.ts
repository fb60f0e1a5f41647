import { z } from 'zod';
import { RowCurve, fitSlopes } from './latency-fit.ts';

/** What a forward pass took that had so many rows, of so many sequences, the longest with so much context. */
export interface LatencyPoint {
  readonly numRows: number;
  readonly numSequences: number;
  /** Of the longest sequence: attention is padded to it. */
  readonly numContextTokens: number;
  readonly milliseconds: number;
}

const pointSchema = z.object({
  numRows: z.int().min(1),
  numSequences: z.int().min(1),
  numContextTokens: z.int().min(0),
  milliseconds: z.number().positive(),
});

/** Kept with the model: measuring again takes a second or two of its device. */
export const latencyFileSchema = z.object({ version: z.literal(1), points: z.array(pointSchema).min(1) });

export type LatencyFile = z.infer<typeof latencyFileSchema>;

/** One observation moves the estimate by no more than this, so an interrupted pass does no harm. */
const MAX_SURPRISE = 0.2; // of a natural logarithm
const ALL_ROWS_GAIN = 0.1;
const BUCKET_GAIN = 0.04;
const NUM_BUCKETS = 24;
/**
 * Rows that no pass has had for long are believed to cost a little less with every pass, to a limit: a measurement that
 * was disturbed would else keep the planner from ever seeing that they are cheap. A pass that has them corrects it.
 */
const DOUBT_PER_PASS = 2e-4; // of a natural logarithm
const MOST_DOUBT = 0.5;

/**
 * Milliseconds of a forward pass: piecewise linear in rows, a slope for further sequences, and one for context, which
 * every row attends to and every sequence reads. Corrected while running: a factor for the whole machine, which may be
 * busy, and one for each range of rows, where the measurement was off.
 */
export class LatencyModel {
  readonly #points: readonly LatencyPoint[];
  readonly #curve: RowCurve;
  readonly #perSequence: number;
  readonly #perContextToken: number;
  readonly #perRowAndContextToken: number;
  readonly #reference: { readonly numSequences: number; readonly numContextTokens: number };
  #allRows = 0; // natural logarithm of a factor
  readonly #byBucket = new Float64Array(NUM_BUCKETS); // the same, relative to #allRows

  constructor(points: readonly LatencyPoint[]) {
    this.#points = points;
    const reference = referencePoint(points);
    this.#reference = reference;
    this.#curve = new RowCurve(points.filter((point) => sameShape(point, reference)));
    const others = points.filter((point) => !sameShape(point, reference));
    const terms = (p: LatencyPoint): number[] => this.#terms(p.numRows, p.numSequences, p.numContextTokens);
    const rest = others.map((p) => p.milliseconds - this.#curve.at(p.numRows));
    const [perSequence = 0, perContextToken = 0, perRow = 0] = fitSlopes(others.map(terms), rest);
    this.#perSequence = perSequence;
    this.#perContextToken = perContextToken;
    this.#perRowAndContextToken = perRow;
  }

  static parse(json: unknown): LatencyModel {
    return new LatencyModel(latencyFileSchema.parse(json).points);
  }

  /** The measured points, without what was learned while running: that belongs to the hour, not to the model. */
  toJSON(): LatencyFile {
    return { version: 1, points: [...this.#points] };
  }

  milliseconds(numRows: number, numSequences: number, numContextTokens: number): number {
    return (
      this.#measured(numRows, numSequences, numContextTokens) *
      Math.exp(this.#allRows + this.#correction(numRows))
    );
  }

  /** Takes what a pass took. */
  observe(pass: LatencyPoint): void {
    const expected = this.milliseconds(pass.numRows, pass.numSequences, pass.numContextTokens);
    const surprise = Math.log(pass.milliseconds / expected);
    if (!Number.isFinite(surprise)) return;
    const step = Math.min(MAX_SURPRISE, Math.max(-MAX_SURPRISE, surprise));
    this.#allRows += ALL_ROWS_GAIN * step;
    const place = bucketOf(pass.numRows);
    const lower = Math.floor(place);
    const share = place - lower;
    for (let bucket = 0; bucket < NUM_BUCKETS; bucket++) {
      const correction = this.#byBucket[bucket] ?? 0;
      const weight = bucket === lower ? 1 - share : bucket === lower + 1 ? share : 0;
      const doubt = correction > -MOST_DOUBT ? DOUBT_PER_PASS * (1 - weight) : 0;
      this.#byBucket[bucket] = correction + BUCKET_GAIN * step * weight - doubt;
    }
  }

  #measured(numRows: number, numSequences: number, numContextTokens: number): number {
    const { numSequences: fewest, numContextTokens: least } = this.#reference;
    const furtherContext = numSequences * numContextTokens - fewest * least;
    const milliseconds =
      this.#curve.at(numRows) +
      this.#perSequence * (numSequences - fewest) +
      this.#perContextToken * furtherContext +
      this.#perRowAndContextToken * numRows * (numContextTokens - least);
    return Math.max(milliseconds, this.#curve.least);
  }

  #terms(numRows: number, numSequences: number, numContextTokens: number): number[] {
    const { numSequences: fewest, numContextTokens: least } = this.#reference;
    return [
      numSequences - fewest,
      numSequences * numContextTokens - fewest * least,
      numRows * (numContextTokens - least),
    ];
  }

  #correction(numRows: number): number {
    const place = bucketOf(numRows);
    const lower = Math.floor(place);
    const share = place - lower;
    return (this.#byBucket[lower] ?? 0) * (1 - share) + (this.#byBucket[lower + 1] ?? 0) * share;
  }
}

/** Two buckets for each doubling of rows; what lies between two is interpolated. */
function bucketOf(numRows: number): number {
  return Math.min(NUM_BUCKETS - 2, 2 * Math.log2(Math.max(1, numRows)));
}

/** The shape with the most points, the smallest of equals: its points make the curve over rows. */
function referencePoint(points: readonly LatencyPoint[]): LatencyPoint {
  const [first] = points;
  if (first === undefined) throw new RangeError('a latency model needs a measured point');
  const size = (p: LatencyPoint): number => p.numSequences * (1 + p.numContextTokens);
  const count = (p: LatencyPoint): number => points.filter((other) => sameShape(other, p)).length;
  return points.reduce((best, point) => {
    const gain = count(point) - count(best);
    return gain > 0 || (gain === 0 && size(point) < size(best)) ? point : best;
  }, first);
}

function sameShape(a: LatencyPoint, b: LatencyPoint): boolean {
  return a.numSequences === b.numSequences && a.numContextTokens === b.numContextTokens;
}
