import { z } from 'zod';
import { backupRowSchema } from '../backup.ts';
import { SCOPES, USAGE_GROUPS } from '../directory/types.ts';
import { EVERYTHING } from '../ledger/usage.ts';

const DEFAULT_GRACE_SECONDS = 24 * 60 * 60;
const MAX_GRACE_SECONDS = 90 * 24 * 60 * 60;

/** A query's parameters come as text. */
const textParam = z.string().min(1, 'expected some text').max(256, 'expected at most 256 characters');

const numberParam = (least: number, most: number) =>
  z
    .string()
    .regex(/^\d+$/, `expected ${least} to ${most}`)
    .transform(Number)
    .pipe(z.int().min(least, `expected ${least} to ${most}`).max(most, `expected ${least} to ${most}`));

/** How many entries a page has: all that fit, unless fewer are asked for. */
const pageLimit = (most: number, byDefault = 100) => numberParam(1, most).default(byDefault);

/** A day in UTC. */
const dayParam = z
  .string()
  .refine((text) => /^\d{4}-\d\d-\d\d$/.test(text) && !Number.isNaN(Date.parse(text)), 'expected YYYY-MM-DD');

export const keyIdParam = z.string().regex(/^[0-9a-hjkmnp-tv-z]{16}$/, 'expected the id of a key');

/** Of `GET /v1/responses/:id`. */
export const answerQuerySchema = z.strictObject({
  stream: z.enum(['true', 'false'], 'expected true or false').default('false'),
  /** The id of the last event that the client has. */
  starting_after: textParam.optional(),
  include_obfuscation: z.literal('false', 'only false is supported').optional(),
});

const days = { from: dayParam.default(EVERYTHING.from), to: dayParam.default(EVERYTHING.to) };

/** Of the usage of one key. */
export const usageQuerySchema = z.strictObject({
  limit: numberParam(0, 100).default(20),
  model: textParam.optional(),
  ...days,
});

export const keysQuerySchema = z.strictObject({ after: textParam.default(''), limit: pageLimit(1000) });
export const rotateSchema = z.strictObject({
  /** How long the old secret stays valid; 0: it ends now. */
  grace_seconds: z
    .int('expected whole seconds')
    .min(0, 'expected 0 or more')
    .max(MAX_GRACE_SECONDS, 'expected 90 days or less')
    .default(DEFAULT_GRACE_SECONDS),
});

export const newTokenSchema = z.strictObject({
  name: textParam,
  scopes: z.array(z.enum(SCOPES, `expected scopes of ${SCOPES.join(', ')}`)).min(1, 'expected a scope'),
  expires_at: z.int('expected Unix time in seconds').positive().max(100_000_000_000).nullable().default(null),
});
export const auditQuerySchema = z.strictObject({
  before: numberParam(1, Number.MAX_SAFE_INTEGER).default(Number.MAX_SAFE_INTEGER),
  limit: pageLimit(1000),
});

const usageGroups = z
  .string()
  .default(USAGE_GROUPS.join())
  .transform((text) => text.split(','))
  .pipe(z.array(z.enum(USAGE_GROUPS, `expected some of ${USAGE_GROUPS.join(', ')}, with commas between`)));
export const adminUsageQuerySchema = z.strictObject({
  key: textParam.optional(),
  model: textParam.optional(),
  ...days,
  group: usageGroups,
  limit: pageLimit(10_000, 1000),
});

export const liveQuerySchema = z.strictObject({ limit: pageLimit(1000) });
export const recordQuerySchema = z.strictObject({ key: keyIdParam.optional() });

export const backupQuerySchema = z.strictObject({
  after: z
    .string()
    .regex(/^\d{1,3}:\d{1,15}$/, 'expected the `next` of the page before')
    .default(''),
});
export const importSchema = z.strictObject({
  version: z.int().positive(),
  rows: z.array(backupRowSchema).max(1000),
});
