import { TidarError } from '@tidar/shared/errors.ts';
import type { Context } from 'hono';
import type { AppEnv } from '../env.ts';

/** A query's parameters by their names; one that is there twice would lose one of its values. */
export function queryOf(c: Context<AppEnv>): Record<string, string> {
  const twice = Object.entries(c.req.queries()).find(([, values]) => values.length > 1);
  if (twice === undefined) return c.req.query();
  const [param] = twice;
  throw new TidarError('invalid_request', `'${param}' is there twice: give it once.`, { param });
}
