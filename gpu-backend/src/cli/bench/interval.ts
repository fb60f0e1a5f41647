/** A median with its confidence interval. */
export interface Interval {
  readonly median: number;
  readonly low: number;
  readonly high: number;
  readonly numSamples: number;
}

/** Below this many samples no interval of the median reaches 95%: (1/2)^(n-1) > 0.05. */
export const MIN_SAMPLES = 6;
const LEVEL = 0.95;
/** A double holds 2^-n up to 1,022. */
const MAX_EXACT_SAMPLES = 1000;

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? NaN) + upper) / 2;
}

/**
 * The median with its 95% interval from order statistics, interpolated as Hettmansperger and Sheather do: it assumes
 * nothing of the distribution, so that one interrupted run does not widen it. Unbounded below 6 samples.
 */
export function medianInterval(values: readonly number[]): Interval {
  const numSamples = values.length;
  const sorted = Float64Array.from(values).sort();
  const middle = median(values);
  if (numSamples < MIN_SAMPLES) return { median: middle, low: -Infinity, high: Infinity, numSamples };
  const { rank, weight } = intervalRank(numSamples);
  const between = (outer: number, inner: number): number => outer + weight * (inner - outer);
  const at = (index: number): number => sorted[index] ?? NaN;
  const low = between(at(rank - 1), at(rank));
  const high = between(at(numSamples - rank), at(numSamples - rank - 1));
  return { median: middle, low: Math.min(low, middle), high: Math.max(high, middle), numSamples };
}

const ranks = new Map<number, { rank: number; weight: number }>();

/** The interval runs from the `rank`-th lowest sample to the `rank`-th highest, moved inwards by `weight`. */
function intervalRank(numSamples: number): { rank: number; weight: number } {
  const known = ranks.get(numSamples);
  if (known !== undefined) return known;
  if (numSamples > MAX_EXACT_SAMPLES) return normalRank(numSamples);
  let probability = 2 ** -numSamples; // of exactly rank - 1 heads
  let tail = probability;
  for (let rank = 1; ; rank++) {
    const coverage = 1 - 2 * tail;
    probability *= (numSamples - rank + 1) / rank;
    tail += probability;
    const next = 1 - 2 * tail;
    if (next > LEVEL) continue;
    const excess = (coverage - LEVEL) / (coverage - next);
    const weight = ((numSamples - rank) * excess) / (rank + (numSamples - 2 * rank) * excess);
    ranks.set(numSamples, { rank, weight });
    return { rank, weight };
  }
}

/** The limit for many samples. */
function normalRank(numSamples: number): { rank: number; weight: number } {
  const exact = numSamples / 2 - 0.98 * Math.sqrt(numSamples);
  return { rank: Math.floor(exact), weight: exact - Math.floor(exact) };
}

/** The median ratio of pairs that were measured side by side; swapping the two gives the reciprocal. */
export function ratioInterval(over: readonly number[], under: readonly number[]): Interval {
  if (over.length !== under.length)
    throw new RangeError(`${over.length} values cannot be paired with ${under.length}`);
  const logs = medianInterval(over.map((value, index) => Math.log(value / (under[index] ?? NaN))));
  const { low, high, numSamples } = logs;
  return { median: Math.exp(logs.median), low: Math.exp(low), high: Math.exp(high), numSamples };
}

/** Half the interval's width, as a share of its median. */
export function relativeHalfWidth({ median: middle, low, high }: Interval): number {
  return (high - low) / 2 / Math.abs(middle);
}

/** "1.63 ±0.02": the farther end counts. */
export function showInterval(interval: Interval, digits = 2): string {
  const { low, high } = interval;
  const reach = Math.max(high - interval.median, interval.median - low);
  return `${interval.median.toFixed(digits)} ±${Number.isFinite(reach) ? reach.toFixed(digits) : '?'}`;
}

export interface RepeatOptions {
  /** Stop when every interval's half width is at most this share of its median: 0.02 is ±2%. */
  readonly within: number;
  /** No repetition starts after this many milliseconds, but for the first. */
  readonly timeLimitMs: number;
  readonly minRepetitions?: number;
  /** Milliseconds, for tests. */
  readonly now?: () => number;
}

export interface Repeated<T> {
  readonly samples: readonly T[];
  readonly stoppedBy: 'interval' | 'time limit';
  readonly milliseconds: number;
  /** Of the widest interval. */
  readonly halfWidth: number;
}

/**
 * Measures until all intervals are narrow enough or the time is up. Stopping at a narrow interval makes it a little
 * too narrow on average; the least number of repetitions keeps that small.
 */
export async function repeatUntil<T>(
  measure: (repetition: number) => Promise<T>,
  intervalsOf: (samples: readonly T[]) => readonly Interval[],
  { within, timeLimitMs, minRepetitions = 8, now = () => performance.now() }: RepeatOptions,
): Promise<Repeated<T>> {
  const startedAt = now();
  const samples: T[] = [];
  for (;;) {
    samples.push(await measure(samples.length));
    const milliseconds = now() - startedAt;
    const halfWidth = Math.max(0, ...intervalsOf(samples).map(relativeHalfWidth));
    const isNarrow = samples.length >= minRepetitions && halfWidth <= within;
    if (isNarrow) return { samples, stoppedBy: 'interval', milliseconds, halfWidth };
    if (milliseconds >= timeLimitMs) return { samples, stoppedBy: 'time limit', milliseconds, halfWidth };
  }
}

/** The order in which contenders take their turns: every one comes first, second, … equally often. */
export function turns(numContenders: number, repetition: number): number[] {
  return Array.from({ length: numContenders }, (_, turn) => (turn + repetition) % numContenders);
}
