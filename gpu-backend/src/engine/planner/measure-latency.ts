import type { LatencyPoint } from './latency.ts';

/** Runs one forward pass of that shape and tells its milliseconds. */
export type TimeShape = (numRows: number, numSequences: number, numContextTokens: number) => Promise<number>;

export interface MeasureOptions {
  readonly maxRows: number;
  readonly maxSequences: number;
  readonly maxContextTokens: number;
  readonly budgetMs: number;
  readonly now?: () => number;
}

type Shape = Omit<LatencyPoint, 'milliseconds'>;

const ROWS = [2, 4, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 1024];
const REFERENCE_CONTEXT_TOKENS = 256;
const MAX_ROUNDS = 25;

/**
 * Times few shapes in rounds, so that whatever else the machine does falls on all of them, and keeps each shape's
 * median. The first round warms up and is dropped, if the budget has room for a second.
 */
export async function measureLatency(time: TimeShape, options: MeasureOptions): Promise<LatencyPoint[]> {
  const { now = () => performance.now(), budgetMs } = options;
  const shapes = shapesToMeasure(options);
  const times = shapes.map((): number[] => []);
  const startedAt = now();
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const roundStartedAt = now();
    for (let turn = 0; turn < shapes.length; turn++) {
      const at = round % 2 === 0 ? turn : shapes.length - 1 - turn;
      const shape = shapes[at];
      if (shape !== undefined) {
        times[at]?.push(await time(shape.numRows, shape.numSequences, shape.numContextTokens));
      }
    }
    const roundMs = now() - roundStartedAt;
    if (now() - startedAt + roundMs > budgetMs) break;
  }
  return shapes.map((shape, at) => ({ ...shape, milliseconds: median(withoutFirst(times[at] ?? [])) }));
}

/** The curve over rows for one sequence, and the corners that tell what sequences and context add to it. */
export function shapesToMeasure(
  options: Pick<MeasureOptions, 'maxRows' | 'maxSequences' | 'maxContextTokens'>,
): Shape[] {
  const { maxRows, maxSequences, maxContextTokens } = options;
  const context = Math.min(REFERENCE_CONTEXT_TOKENS, maxContextTokens);
  const rows = ROWS.filter((numRows) => numRows < maxRows);
  const shapes: Shape[] = [...rows, maxRows].map((numRows) => {
    return { numRows, numSequences: 1, numContextTokens: context };
  });
  const fewRows = Math.max(2, Math.min(maxSequences, maxRows));
  const manyRows = Math.max(fewRows, Math.min(4 * maxSequences, maxRows));
  for (const numSequences of new Set([1, maxSequences])) {
    for (const numContextTokens of new Set([context, maxContextTokens])) {
      if (numSequences === 1 && numContextTokens === context) continue;
      for (const numRows of new Set([fewRows, manyRows]))
        shapes.push({ numRows, numSequences, numContextTokens });
    }
  }
  return shapes;
}

function withoutFirst(times: readonly number[]): readonly number[] {
  return times.length > 1 ? times.slice(1) : times;
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? NaN) + upper) / 2;
}
