import { TidarError } from '@tidar/shared/errors.ts';
import type { Context, Next } from 'hono';
import type { AppEnv } from './env.ts';

/** The rate-limit binding's period. */
const PERIOD_MS = 60_000;

/** Keeps floods from one address off before anything else is done, where the binding is there. */
export async function shield(c: Context<AppEnv>, next: Next): Promise<void> {
  const binding = c.env.FLOOD_SHIELD;
  if (binding !== undefined) {
    const { success } = await binding.limit({ key: c.req.header('cf-connecting-ip') ?? 'unknown' });
    if (!success) {
      const message = 'Too many requests come from this address. Try again in a minute.';
      throw new TidarError('rate_limit_exceeded', message, { retryAfterMs: PERIOD_MS });
    }
  }
  await next();
}
