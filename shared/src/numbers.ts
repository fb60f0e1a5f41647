import { z } from 'zod';

/** A number from `least` to `most`, both included. */
export const within = (least: number, most: number) =>
  z
    .number(`expected ${least} to ${most}`)
    .min(least, `expected ${least} to ${most}`)
    .max(most, `expected ${least} to ${most}`);
export const wholeWithin = (least: number, most: number) =>
  z
    .int(`expected ${least} to ${most}`)
    .min(least, `expected ${least} to ${most}`)
    .max(most, `expected ${least} to ${most}`);
