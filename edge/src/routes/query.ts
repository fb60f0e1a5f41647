import { TidarError } from '@tidar/shared/errors.ts';
import type { Context } from 'hono';
import { z } from 'zod';
import type { AppEnv } from '../env.ts';

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

/** A query's parameters by their names; one that is there twice would lose one of its values. */
export function queryOf(c: Context<AppEnv>): Record<string, string> {
  const twice = Object.entries(c.req.queries()).find(([, values]) => values.length > 1);
  if (twice === undefined) return c.req.query();
  const [param] = twice;
  throw new TidarError('invalid_request', `'${param}' is there twice: give it once.`, { param });
}
