export interface Sample {
  /** Since the beginning. */
  readonly seconds: number;
  readonly value: number;
}

export interface Trend {
  /** Growth over the whole time that was looked at, as a share of where the line begins. */
  readonly growth: number;
  /** The line's own values. */
  readonly first: number;
  readonly last: number;
  /** Means over tenths of the whole time: whether what grows comes to an end. */
  readonly tenths: readonly number[];
}

const NUM_PARTS = 10;

/** The straight line through the samples after the warm-up, by least squares. */
export function trendOf(samples: readonly Sample[], warmUpShare: number): Trend {
  const end = samples.at(-1)?.seconds ?? 0;
  const counted = samples.filter(({ seconds }) => seconds >= warmUpShare * end);
  const mean = (of: (sample: Sample) => number): number =>
    counted.reduce((sum, sample) => sum + of(sample), 0) / counted.length;
  const [seconds, value] = [mean((one) => one.seconds), mean((one) => one.value)];
  const spread = mean((one) => (one.seconds - seconds) ** 2);
  const slope = spread === 0 ? 0 : mean((one) => (one.seconds - seconds) * (one.value - value)) / spread;
  const at = (moment: number): number => value + slope * (moment - seconds);
  const [first, last] = [at(counted[0]?.seconds ?? 0), at(end)];
  return { growth: last / first - 1, first, last, tenths: tenthsOf(samples) };
}

function tenthsOf(samples: readonly Sample[]): number[] {
  const end = samples.at(-1)?.seconds ?? 0;
  const parts = Map.groupBy(samples, ({ seconds }) =>
    Math.min(NUM_PARTS - 1, Math.floor((NUM_PARTS * seconds) / end)),
  );
  return [...parts]
    .toSorted(([one], [other]) => one - other)
    .map(([, part]) => part.reduce((sum, { value }) => sum + value, 0) / part.length);
}
