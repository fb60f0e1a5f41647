import { receiptKeysSchema, signedReceiptSchema } from '@tidar/shared/receipt.ts';
import { z } from 'zod';
import { keySettingsSchema } from '../ledger/settings.ts';
import type { BudgetState, DailyUsage, KeyView, RequestRecord, UsageReport } from '../ledger/types.ts';

const count = z.int().nonnegative();

export const keyView = keySettingsSchema.extend({
  id: z.string(),
  created: count,
  revoked_at: count.nullable(),
}) satisfies z.ZodType<KeyView>;

export const usageCounts = z.object({
  num_requests: count,
  prompt_tokens: count,
  cached_tokens: count,
  completion_tokens: count,
  num_forward_passes: count,
  cost_nanos: count,
  rule_loss_tokens: count,
});

const request = z.object({
  id: z.string(),
  model: z.string(),
  created_ms: count,
  settled_ms: count.nullable(),
  state: z.enum(['open', 'settled']),
  finish_reason: z.string().nullable(),
  prompt_tokens: count,
  cached_tokens: count,
  completion_tokens: count,
  num_forward_passes: count,
  cost_nanos: count,
  estimated: z.boolean(),
  rule_loss_tokens: count,
  num_attempts: count,
  fingerprint: z.string().nullable(),
  seed: z.string().nullable(),
  tokens_hash: z.string().nullable(),
  user: z.string().nullable(),
  metadata: z.record(z.string(), z.string()).nullable(),
}) satisfies z.ZodType<RequestRecord>;

const budget = z.object({
  spent_tokens: count,
  spent_nanos: count,
  held_tokens: count,
  held_nanos: count,
  refills_at: count.nullable(),
}) satisfies z.ZodType<BudgetState>;
const day = usageCounts.extend({ day: z.string(), model: z.string() }) satisfies z.ZodType<DailyUsage>;

const status = z.enum(['ok', 'draining', 'unreachable', 'incompatible']);

/** What the routes about bills, and those for anybody, answer. */
export const USAGE_ANSWERS = {
  Usage: z.object({
    object: z.literal('usage'),
    key: keyView,
    total: usageCounts,
    held_tokens: count,
    budget,
    days: z.array(day),
    requests: z.array(request),
  }) satisfies z.ZodType<UsageReport>,
  UsageRequest: z.object({
    object: z.literal('usage.request'),
    /** Told to admins. */
    key_id: z.string().optional(),
    request,
    receipt: signedReceiptSchema.nullable(),
  }),
  ReceiptKeys: z.object({
    keys: z.array(
      receiptKeysSchema.shape.keys.element.extend({ alg: z.literal('EdDSA'), use: z.literal('sig') }),
    ),
  }),
  Health: z.object({
    status: z.enum(['ok', 'unavailable']),
    models: z.array(z.string()),
    backends: z.array(z.object({ status, models: z.array(z.string()) })),
  }),
  OpenApi: z.looseObject({ openapi: z.string(), paths: z.looseObject({}), components: z.looseObject({}) }),
};
