import { z } from 'zod';

/** What a query's parameters may be; they come as text. */
export const textParam = z.string().min(1, 'expected some text').max(256, 'expected at most 256 characters');

/** How many entries a page has: all that fit, unless fewer are asked for. */
export const pageLimit = (most: number, byDefault = 100) => numberParam(1, most).default(byDefault);

export const numberParam = (least: number, most: number) =>
  z
    .string()
    .regex(/^\d+$/, `expected ${least} to ${most}`)
    .transform(Number)
    .pipe(z.int().min(least, `expected ${least} to ${most}`).max(most, `expected ${least} to ${most}`));

/** A day in UTC. */
export const dayParam = z
  .string()
  .refine((text) => /^\d{4}-\d\d-\d\d$/.test(text) && !Number.isNaN(Date.parse(text)), 'expected YYYY-MM-DD');
