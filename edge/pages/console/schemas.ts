import type { z } from 'zod';
import { ADMIN_ANSWERS } from '../../src/openapi/admin-answers.ts';
import { USAGE_ANSWERS } from '../../src/openapi/usage-answers.ts';

/** What the console reads, as the API's own document declares it. */
export const {
  Admin: meSchema,
  ApiKey: keySchema,
  NewApiKey: newKeySchema,
  ApiKeyList: keyListSchema,
  UsageList: usageListSchema,
  OpenRequestList: liveListSchema,
  BackendList: backendListSchema,
  AuditList: auditListSchema,
} = ADMIN_ANSWERS;
export const keyUsageSchema = USAGE_ANSWERS.Usage;
/** Admins are told whose request it is. */
export const foundSchema = USAGE_ANSWERS.UsageRequest.required({ key_id: true });

type ItemOf<List extends z.ZodType<{ data: unknown[] }>> = z.infer<List>['data'][number];

export type Key = z.infer<typeof keySchema>;
export type KeyUsage = z.infer<typeof keyUsageSchema>;
export type RequestRecord = KeyUsage['requests'][number];
export type Found = z.infer<typeof foundSchema>;
export type UsageRow = ItemOf<typeof usageListSchema>;
export type Live = ItemOf<typeof liveListSchema>;
export type Backend = ItemOf<typeof backendListSchema>;
export type AuditEntry = ItemOf<typeof auditListSchema>;
