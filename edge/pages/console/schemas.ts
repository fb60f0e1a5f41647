import { signedReceiptSchema } from '@tidar/shared/receipt.ts';
import { z } from 'zod';
import { keySettingsSchema } from '../../src/ledger/settings.ts';

const count = z.number().nonnegative();

export const meSchema = z.object({ name: z.string(), scopes: z.array(z.string()) });

export const keySchema = keySettingsSchema.extend({
  id: z.string(),
  created: z.number(),
  revoked_at: z.number().nullable(),
});
export type Key = z.infer<typeof keySchema>;
/** A key with its secret, which is told this once. */
export const newKeySchema = keySchema.extend({ key: z.string() });

export const listOf = <Item extends z.ZodType>(item: Item) =>
  z.object({ data: z.array(item), has_more: z.boolean().default(false) });

const countsSchema = z.object({
  num_requests: count,
  prompt_tokens: count,
  cached_tokens: count,
  completion_tokens: count,
  num_forward_passes: count,
  cost_nanos: count,
});
export const usageRowSchema = countsSchema.extend({
  key_id: z.string().optional(),
  day: z.string().optional(),
  model: z.string().optional(),
});
export type UsageRow = z.infer<typeof usageRowSchema>;

export const requestSchema = z.object({
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
  num_attempts: count,
  user: z.string().nullable(),
});
export type RequestRecord = z.infer<typeof requestSchema>;

export const keyUsageSchema = z.object({
  total: countsSchema,
  budget: z.object({
    spent_tokens: count,
    spent_nanos: count,
    held_tokens: count,
    held_nanos: count,
    refills_at: count.nullable(),
  }),
  requests: z.array(requestSchema),
});
export type KeyUsage = z.infer<typeof keyUsageSchema>;

export const liveSchema = z.object({
  id: z.string(),
  key_id: z.string(),
  model: z.string(),
  created_ms: count,
  has_started: z.boolean(),
  backend: z.string().nullable(),
  num_choices: count,
  max_tokens: count,
  completion_tokens: count,
  num_forward_passes: count,
  num_attempts: count,
  client_left: z.boolean(),
});
export type Live = z.infer<typeof liveSchema>;

export const backendSchema = z.object({
  address: z.string(),
  status: z.enum(['ok', 'draining', 'unreachable', 'incompatible', 'silent']),
  models: z.array(
    z.object({ id: z.string(), fingerprint: z.string(), context_length: count, block_size: count }),
  ),
  load: z.object({ running: count, queued: count, max_concurrent: count }).nullable(),
  slot_curve: z.array(z.tuple([count, count])).nullable(),
  heartbeat_age_ms: count.nullable(),
});
export type Backend = z.infer<typeof backendSchema>;

export const auditSchema = z.object({
  id: count,
  at_ms: count,
  actor: z.string(),
  action: z.string(),
  subject: z.string(),
  detail: z.unknown(),
});
export type AuditEntry = z.infer<typeof auditSchema>;

export const foundSchema = z.object({
  key_id: z.string(),
  request: requestSchema,
  receipt: signedReceiptSchema.nullable(),
});
export type Found = z.infer<typeof foundSchema>;
