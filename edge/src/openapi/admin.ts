import {
  adminUsageQuerySchema,
  auditQuerySchema,
  backupQuerySchema,
  keysQuerySchema,
  liveQuerySchema,
  recordQuerySchema,
  usageQuerySchema,
} from '../routes/schemas.ts';
import { json, type Operation } from './operation.ts';
import { USAGE_QUERY } from './usage.ts';

const LIMIT = 'How many entries at most.';
const KEY_ID = 'The id of a key.';
const BACKUP = {
  schema: backupQuerySchema,
  descriptions: { after: 'The `next` of the page before; absent: the first page.' },
};
const made = (what: string, name: string): Operation['answer'] => ({
  status: 201,
  description: `The ${what}; its secret is shown this once.`,
  content: json(name),
});

const KEYS: readonly Operation[] = [
  {
    route: 'POST /admin/keys',
    id: 'createKey',
    summary: 'Makes a key.',
    access: 'keys:write',
    body: 'KeySettings',
    answer: made('key', 'NewApiKey'),
  },
  {
    route: 'GET /admin/keys',
    id: 'listKeys',
    summary: 'All keys, in pages.',
    access: 'keys:read',
    query: {
      schema: keysQuerySchema,
      descriptions: { after: 'The id of the last key of the page before.', limit: LIMIT },
    },
    answer: { description: 'The keys.', content: json('ApiKeyList') },
  },
  {
    route: 'GET /admin/keys/{id}',
    id: 'getKey',
    summary: 'One key.',
    access: 'keys:read',
    pathId: KEY_ID,
    answer: { description: 'The key.', content: json('ApiKey') },
  },
  {
    route: 'PATCH /admin/keys/{id}',
    id: 'updateKey',
    summary: 'Changes the settings that are given.',
    access: 'keys:write',
    pathId: KEY_ID,
    body: 'KeySettings',
    answer: { description: 'The key.', content: json('ApiKey') },
  },
  {
    route: 'POST /admin/keys/{id}/rotate',
    id: 'rotateKey',
    summary: 'A new secret; the old one stays valid for a while.',
    access: 'keys:write',
    pathId: KEY_ID,
    body: 'Rotation',
    answer: { description: 'The key; its secret is shown this once.', content: json('NewApiKey') },
  },
  {
    route: 'POST /admin/keys/{id}/revoke',
    id: 'revokeKey',
    summary: 'Ends a key now and for good.',
    access: 'keys:write',
    pathId: KEY_ID,
    answer: { description: 'The key.', content: json('ApiKey') },
  },
  {
    route: 'GET /admin/keys/{id}/usage',
    id: 'getKeyUsage',
    summary: "What the key's holder sees at GET /v1/usage.",
    access: 'usage:read',
    pathId: KEY_ID,
    query: { schema: usageQuerySchema, descriptions: USAGE_QUERY },
    answer: { description: 'The usage.', content: json('Usage') },
  },
];

const VIEWS: readonly Operation[] = [
  {
    route: 'GET /admin/me',
    id: 'getAdmin',
    summary: 'Who holds the token, and what it may do.',
    access: 'any',
    answer: { description: 'The holder.', content: json('Admin') },
  },
  {
    route: 'GET /admin/usage',
    id: 'listUsage',
    summary: 'What each key used on each day of each model, or sums of it.',
    access: 'usage:read',
    query: {
      schema: adminUsageQuerySchema,
      descriptions: {
        ...USAGE_QUERY,
        key: 'Only of this key.',
        group: 'What is told apart; the rest is summed up.',
        limit: LIMIT,
      },
    },
    answer: { description: 'The sums.', content: json('UsageList') },
  },
  {
    route: 'GET /admin/requests',
    id: 'listOpenRequests',
    summary: 'The requests of all keys that are open now, newest first.',
    access: 'usage:read',
    query: { schema: liveQuerySchema, descriptions: { limit: LIMIT } },
    answer: { description: 'The requests.', content: json('OpenRequestList') },
  },
  {
    route: 'GET /admin/requests/{id}',
    id: 'getAdminRequest',
    summary: 'One request of any key with its receipt.',
    access: 'usage:read',
    pathId: 'The x-request-id that it came with.',
    query: {
      schema: recordQuerySchema,
      descriptions: { key: 'Whose it is; absent: of one of the keys that were used last.' },
    },
    answer: { description: 'The request.', content: json('UsageRequest') },
  },
  {
    route: 'GET /admin/backends',
    id: 'listBackends',
    summary: 'The backends that are configured or were heard of in the last minutes.',
    access: 'fleet:read',
    answer: { description: 'The backends.', content: json('BackendList') },
  },
  {
    route: 'GET /admin/audit',
    id: 'listAudit',
    summary: 'Every change, newest first.',
    access: 'audit:read',
    query: {
      schema: auditQuerySchema,
      descriptions: { before: 'The id of the last entry of the page before.', limit: LIMIT },
    },
    answer: { description: 'The changes.', content: json('AuditList') },
  },
];

const TOKENS_AND_BACKUP: readonly Operation[] = [
  {
    route: 'POST /admin/tokens',
    id: 'createToken',
    summary: 'Makes a token of this API.',
    access: 'admin',
    body: 'NewToken',
    answer: made('token', 'NewAdminToken'),
  },
  {
    route: 'GET /admin/tokens',
    id: 'listTokens',
    summary: 'All tokens.',
    access: 'admin',
    answer: { description: 'The tokens.', content: json('AdminTokenList') },
  },
  {
    route: 'POST /admin/tokens/{id}/revoke',
    id: 'revokeToken',
    summary: 'Ends a token now and for good.',
    access: 'admin',
    pathId: 'The id of a token.',
    answer: { description: 'The token.', content: json('AdminToken') },
  },
  {
    route: 'GET /admin/export',
    id: 'exportDirectory',
    summary: "A page of a backup of the directory's tables.",
    access: 'admin',
    query: BACKUP,
    answer: { description: 'The page.', content: json('BackupPage') },
  },
  {
    route: 'GET /admin/export/keys/{id}',
    id: 'exportKey',
    summary: "A page of a backup of a key's tables.",
    access: 'admin',
    pathId: KEY_ID,
    query: BACKUP,
    answer: { description: 'The page.', content: json('BackupPage') },
  },
  {
    route: 'POST /admin/import',
    id: 'importDirectory',
    summary: "Reads a page of the directory's backup back.",
    access: 'admin',
    body: 'BackupRows',
    answer: { description: 'How many rows were read.', content: json('Imported') },
  },
  {
    route: 'POST /admin/import/keys/{id}',
    id: 'importKey',
    summary: "Reads a page of a key's backup back; the key's own row makes it live.",
    access: 'admin',
    pathId: KEY_ID,
    body: 'BackupRows',
    answer: { description: 'How many rows were read.', content: json('Imported') },
  },
];

/** The admin API. */
export const ADMIN: readonly Operation[] = [...KEYS, ...VIEWS, ...TOKENS_AND_BACKUP];
