import { parseSecrets } from '@tidar/shared/lease.ts';
import { z } from 'zod';
import { priceListSchema } from './ledger/price.ts';

/** Every message names its variable: together they are the one line that an operator sees. */
const milliseconds = (name: string, byDefault: number): z.ZodType<number, string | undefined> =>
  z
    .string()
    .default(String(byDefault))
    .transform(Number)
    .pipe(z.int(`${name} must be whole milliseconds`).positive(`${name} must be whole milliseconds`));

const wholeNumber = (name: string, byDefault: number, most: number): z.ZodType<number, string | undefined> =>
  z
    .string()
    .default(String(byDefault))
    .transform(Number)
    .pipe(
      z
        .int(`${name} must be a whole number`)
        .min(1, `${name} must be 1 or more`)
        .max(most, `${name} must be ${most} or less`),
    );

const secrets = (name: string): z.ZodType<string[], string> =>
  z.string(`${name} is missing`).transform((text, context) => {
    try {
      return parseSecrets(text, name);
    } catch (error) {
      context.addIssue({ code: 'custom', message: error instanceof Error ? error.message : String(error) });
      return z.NEVER;
    }
  });

const backendsSchema = z
  .array(z.strictObject({ url: z.url({ protocol: /^https?$/ }) }))
  .transform((list) => list.map(({ url }) => ({ url: url.replace(/\/+$/, '') })));

const isOrigin = (text: string): boolean => URL.canParse(text) && new URL(text).origin === text;

const shape = z.object({
  BACKENDS: z.string('BACKENDS is missing').transform((text, context) => {
    try {
      return backendsSchema.parse(JSON.parse(text));
    } catch {
      const message = 'BACKENDS must be JSON such as [{"url":"http://127.0.0.1:9000"}]';
      context.addIssue({ code: 'custom', message });
      return z.NEVER;
    }
  }),
  PRICES: z
    .string()
    .default('{}')
    .transform((text, context) => {
      try {
        return priceListSchema.parse(JSON.parse(text));
      } catch {
        const message =
          'PRICES must be JSON of billionths for a token, such as {"*":{"prompt":150,"cached":75,"completion":600}}';
        context.addIssue({ code: 'custom', message });
        return z.NEVER;
      }
    }),
  LEASE_SECRETS: secrets('LEASE_SECRETS'),
  KEY_SECRETS: secrets('KEY_SECRETS'),
  /** Receipts are signed with a key made of the first, and can be checked against those of all; absent: KEY_SECRETS. */
  RECEIPT_SECRETS: secrets('RECEIPT_SECRETS').optional(),
  ADMIN_TOKEN: z.string('ADMIN_TOKEN is missing').min(32, 'ADMIN_TOKEN needs at least 32 characters'),
  /** How long a lease lets a backend generate. */
  LEASE_LIFETIME_MS: milliseconds('LEASE_LIFETIME_MS', 600_000),
  /** How long the body of a request may take to come. */
  BODY_TIMEOUT_MS: milliseconds('BODY_TIMEOUT_MS', 30_000),
  /** Whose pages may call the API from a browser: origins, separated by commas, or `*`; by default only the edge's own. */
  CORS_ORIGINS: z
    .string()
    .default('')
    .transform((text, context) => {
      const origins = text
        .split(',')
        .map((part) => part.trim())
        .filter((part) => part !== '');
      if (origins.every((origin) => origin === '*' || isOrigin(origin))) return origins;
      const message =
        'CORS_ORIGINS must be origins such as https://app.example.com, separated by commas, or *';
      context.addIssue({ code: 'custom', message });
      return z.NEVER;
    }),
  /** How long a backend may take until its first event, time in its queue included. */
  START_TIMEOUT_MS: milliseconds('START_TIMEOUT_MS', 120_000),
  /** How long a backend may be silent between two events. */
  GAP_TIMEOUT_MS: milliseconds('GAP_TIMEOUT_MS', 60_000),
  /** How long an answer's stream may be silent before a comment tells that it lives. */
  KEEP_ALIVE_MS: milliseconds('KEEP_ALIVE_MS', 5_000),
  /** How long a backend that has not begun to answer may leave open whether it is there at all. */
  CONNECT_TIMEOUT_MS: milliseconds('CONNECT_TIMEOUT_MS', 5_000),
  /** How long a stream whose backend is gone waits for one that can go on with it. */
  FAILOVER_MS: milliseconds('FAILOVER_MS', 30_000),
  /** A text gets its tokens in slices of so many for each choice. */
  SLICE_TOKENS: wholeNumber('SLICE_TOKENS', 512, 1_000_000),
  /** How long the ledger hears nothing of an open request before it asks its backend's journal. */
  SETTLE_GRACE_MS: milliseconds('SETTLE_GRACE_MS', 180_000),
  /** The same for one whose client has left: a little more than the backends' own `--client-grace-ms`. */
  LEAVE_GRACE_MS: milliseconds('LEAVE_GRACE_MS', 12_000),
  /** How long requests are kept one by one; the totals of their days stay. */
  REQUEST_RETENTION_DAYS: wholeNumber('REQUEST_RETENTION_DAYS', 400, 36_500),
});
export type EnvName = keyof typeof shape.shape;
/** Of every variable that the edge knows. */
export const ENV_NAMES: readonly EnvName[] = shape.keyof().options;

const envSchema = shape.superRefine((config, context) => {
  const { LEASE_SECRETS, KEY_SECRETS, RECEIPT_SECRETS = [], ADMIN_TOKEN } = config;
  const all = [LEASE_SECRETS, KEY_SECRETS, RECEIPT_SECRETS, [ADMIN_TOKEN]].flatMap((list) => [
    ...new Set(list),
  ]);
  if (new Set(all).size === all.length) return;
  // Backends know the lease secrets: with the same one for keys, whoever has a backend could make keys.
  const message = 'LEASE_SECRETS, KEY_SECRETS, RECEIPT_SECRETS and ADMIN_TOKEN must have no secret in common';
  context.addIssue({ code: 'custom', message });
});

export type EdgeConfig = Readonly<z.output<typeof envSchema>>;

/** The configuration that the variables make; throws one line that names every problem. */
export function parseEdgeConfig(variables: Readonly<Partial<Record<EnvName, unknown>>>): EdgeConfig {
  const result = envSchema.safeParse(variables);
  if (!result.success) throw new Error(result.error.issues.map(({ message }) => message).join('; '));
  return Object.freeze(result.data);
}
