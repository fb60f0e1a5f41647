import { z } from 'zod';

const DEFAULT_REQUESTS_PER_MINUTE = 600;
const MAX_PER_MINUTE = 1_000_000_000;

const wholeUpTo = (most: number) =>
  z
    .int('expected a whole number')
    .min(1, 'expected 1 or more')
    .max(most, `expected ${most.toLocaleString('en')} or less`);
const text = (most: number) =>
  z.string('expected a string').min(1, 'expected some text').max(most, `expected at most ${most} characters`);
const metadata = z
  .record(text(64), z.string('expected a string').max(512, 'expected at most 512 characters'))
  .refine((entries) => Object.keys(entries).length <= 16, 'expected at most 16 entries');

const fields = {
  name: text(128).nullable(),
  metadata,
  /** The models that it may use; null: all. */
  models: z.array(text(256)).max(100, 'expected at most 100 models').nullable(),
  requests_per_minute: wholeUpTo(1_000_000),
  tokens_per_minute: wholeUpTo(MAX_PER_MINUTE).nullable(),
  /** How many requests may be open at once. */
  concurrent_streams: wholeUpTo(100_000).nullable(),
  /** What all its requests may use, between two refills if there are any. */
  budget_tokens: wholeUpTo(Number.MAX_SAFE_INTEGER).nullable(),
  /** Money, in whole billionths of the price list's currency. */
  budget_nanos: wholeUpTo(Number.MAX_SAFE_INTEGER).nullable(),
  budget_refill: z.enum(['daily', 'monthly'], 'expected daily or monthly').nullable(),
  /** Unix time in seconds. */
  expires_at: wholeUpTo(100_000_000_000).nullable(),
};

/** What a key may do: as the admin API names it, and as its ledger stores it. Null: no limit. */
export const keySettingsSchema = z.object(fields);
export type KeySettings = z.infer<typeof keySettingsSchema>;

/** Some of the settings; the others stay as they are. */
export const settingsChangeSchema = z.strictObject(fields).partial();
export type SettingsChange = z.infer<typeof settingsChangeSchema>;

const DEFAULT_SETTINGS: KeySettings = {
  name: null,
  metadata: {},
  models: null,
  requests_per_minute: DEFAULT_REQUESTS_PER_MINUTE,
  tokens_per_minute: null,
  concurrent_streams: null,
  budget_tokens: null,
  budget_nanos: null,
  budget_refill: null,
  expires_at: null,
};

export function withDefaults(settings: SettingsChange): KeySettings {
  return changed(DEFAULT_SETTINGS, settings);
}

export function changed(settings: KeySettings, change: SettingsChange): KeySettings {
  const given = Object.fromEntries(Object.entries(change).filter(([, value]) => value !== undefined));
  return keySettingsSchema.parse({ ...settings, ...given });
}

/** The same, as it is stored. */
export function parseSettings(json: string): KeySettings {
  return keySettingsSchema.parse(JSON.parse(json));
}
