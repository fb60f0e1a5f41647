import { z } from 'zod';
import { backupRowSchema, type BackupPage } from '../backup.ts';
import { type AuditEntry, SCOPES, type TokenView } from '../directory/types.ts';
import type { BackendView } from '../fleet/types.ts';
import type { LiveRequest } from '../ledger/types.ts';
import { keyView, usageCounts } from './usage-answers.ts';

const count = z.int().nonnegative();
const scope = z.enum(SCOPES);

const list = <Item extends z.ZodType>(item: Item) =>
  z.object({ object: z.literal('list'), data: z.array(item) });
const page = <Item extends z.ZodType>(item: Item) => list(item).extend({ has_more: z.boolean() });

const apiKey = keyView.extend({ object: z.literal('api_key') });
const token = z.object({
  object: z.literal('admin_token'),
  id: z.string(),
  name: z.string(),
  scopes: z.array(scope),
  created: count,
  expires_at: count.nullable(),
  revoked_at: count.nullable(),
}) satisfies z.ZodType<TokenView>;

const openRequest = z.object({
  object: z.literal('request'),
  key_id: z.string(),
  id: z.string(),
  model: z.string(),
  created_ms: count,
  has_started: z.boolean(),
  backend: z.string().nullable(),
  num_choices: count,
  max_tokens: count,
  prompt_tokens: count,
  completion_tokens: count,
  num_forward_passes: count,
  num_attempts: count,
  client_left: z.boolean(),
  user: z.string().nullable(),
}) satisfies z.ZodType<LiveRequest>;

const backend = z.object({
  object: z.literal('backend'),
  address: z.string(),
  status: z.enum(['ok', 'draining', 'unreachable', 'incompatible', 'silent']),
  models: z.array(
    z.object({ id: z.string(), fingerprint: z.string(), context_length: count, block_size: count }),
  ),
  load: z.object({ running: count, queued: count, max_concurrent: count }).nullable(),
  slot_curve: z.array(z.tuple([z.number(), z.number()])).nullable(),
  heartbeat_age_ms: count.nullable(),
}) satisfies z.ZodType<BackendView>;

const auditEntry = z.object({
  id: count,
  at_ms: count,
  actor: z.string(),
  action: z.string(),
  subject: z.string(),
  detail: z.looseObject({}),
}) satisfies z.ZodType<Omit<AuditEntry, 'detail'>>;

const backupPage = z.object({
  version: count,
  rows: z.array(backupRowSchema),
  next: z.string().nullable(),
}) satisfies z.ZodType<BackupPage>;

/** What the admin API answers. */
export const ADMIN_ANSWERS = {
  ApiKey: apiKey,
  NewApiKey: apiKey.extend({ key: z.string() }),
  ApiKeyList: page(apiKey),
  AdminToken: token,
  NewAdminToken: token.extend({ token: z.string() }),
  AdminTokenList: list(token),
  Admin: z.object({ object: z.literal('admin'), name: z.string(), scopes: z.array(scope) }),
  UsageList: page(
    usageCounts.extend({
      key_id: z.string().optional(),
      day: z.string().optional(),
      model: z.string().optional(),
    }),
  ),
  OpenRequestList: page(openRequest),
  BackendList: list(backend),
  AuditList: page(auditEntry),
  BackupPage: backupPage,
  Imported: z.object({ numRows: count }),
};
