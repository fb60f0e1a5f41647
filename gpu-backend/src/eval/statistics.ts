import { Random } from '../data/random.ts';

export interface Estimate {
  readonly value: number;
  readonly low: number;
  readonly high: number;
}

/** 97.5% of a normal distribution lies below. */
const Z = 1.959964;
const NUM_RESAMPLES = 1000;

/** A share with Wilson's 95% interval, which also says something where all or none are right. */
export function wilson(numRight: number, numTried: number): Estimate {
  if (numTried === 0) return { value: NaN, low: 0, high: 1 };
  const share = numRight / numTried;
  const spread = Z ** 2 / numTried;
  const middle = (share + spread / 2) / (1 + spread);
  const reach = (Z / (1 + spread)) * Math.sqrt((share * (1 - share)) / numTried + spread / (4 * numTried));
  return { value: share, low: Math.max(0, middle - reach), high: Math.min(1, middle + reach) };
}

/** Half the 95% interval of the mean of several shares, each with Agresti and Coull's two more of either kind. */
export function meanHalfWidth(tasks: readonly { numRight: number; numTried: number }[]): number {
  const variance = tasks.reduce((sum, { numRight, numTried }) => {
    const count = numTried + 4;
    const share = (numRight + 2) / count;
    return sum + (share * (1 - share)) / count;
  }, 0);
  return (Z * Math.sqrt(variance)) / tasks.length;
}

/** The mean of a difference over tasks, from the items that both sides tried: [task][item] of -1, 0 and 1. */
export function meanDifference(tasks: readonly (readonly number[])[]): Estimate {
  const means = tasks.map(mean);
  const variance = tasks.reduce((sum, differences, at) => {
    const center = means[at] ?? 0;
    const squares = differences.reduce((total, each) => total + (each - center) ** 2, 0);
    return sum + squares / Math.max(1, differences.length - 1) / differences.length;
  }, 0);
  const value = mean(means);
  const reach = (Z * Math.sqrt(variance)) / tasks.length;
  return { value, low: value - reach, high: value + reach };
}

export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/**
 * A figure of all items with its 95% interval by the bootstrap: items are drawn again, with replacement and within
 * their task. The draws are the same every time.
 */
export function bootstrap<T>(
  tasks: readonly (readonly T[])[],
  figure: (tasks: readonly (readonly T[])[]) => number,
): Estimate {
  const random = new Random(1);
  const values = Array.from({ length: NUM_RESAMPLES }, () =>
    figure(tasks.map((items) => items.map(() => random.pick(items)))),
  ).sort((a, b) => a - b);
  const at = (share: number): number => values[Math.round(share * (NUM_RESAMPLES - 1))] ?? NaN;
  return { value: figure(tasks), low: at(0.025), high: at(0.975) };
}
