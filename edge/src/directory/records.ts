import { z } from 'zod';
import { keySettingsSchema } from '../ledger/settings.ts';
import type { DailyUsage, KeyView, UsageCounts } from '../ledger/types.ts';
import { type AuditEntry, type Batch, USAGE_GROUPS, type UsageGroup } from './types.ts';
import type { Sql, SqlValue } from '../sql.ts';

export const keyViewSchema = keySettingsSchema.extend({
  id: z.string(),
  created: z.int(),
  revoked_at: z.int().nullable(),
});

/** Takes what a ledger tells; whatever is not newer than what is known changes nothing. */
export function receiveBatch(sql: Sql, { key, keyVersion, events, totals }: Batch): void {
  sql.exec(
    `INSERT INTO keys VALUES (?, ?, ?)
     ON CONFLICT DO UPDATE SET view = excluded.view, version = excluded.version WHERE excluded.version >= version`,
    key.id,
    JSON.stringify(key),
    keyVersion,
  );
  for (const { seq, atMs, actor, action, detail } of events) {
    sql.exec(
      `INSERT INTO audit (at_ms, actor, action, subject, seq, detail) VALUES (?, ?, ?, ?, ?, ?)
       ON CONFLICT DO NOTHING`,
      ...[atMs, actor, action, key.id, seq, detail],
    );
  }
  for (const { version, usage } of totals) writeTotals(sql, key.id, version, usage);
}

function writeTotals(sql: Sql, keyId: string, version: number, usage: DailyUsage): void {
  const { day, model, num_requests, prompt_tokens, cached_tokens, completion_tokens } = usage;
  sql.exec(
    `INSERT INTO totals VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET version = excluded.version,
     num_requests = excluded.num_requests, prompt_tokens = excluded.prompt_tokens,
     cached_tokens = excluded.cached_tokens, completion_tokens = excluded.completion_tokens,
     num_forward_passes = excluded.num_forward_passes, cost_nanos = excluded.cost_nanos,
     rule_loss_tokens = excluded.rule_loss_tokens
     WHERE excluded.version > version`,
    ...[keyId, day, model, version, num_requests, prompt_tokens, cached_tokens, completion_tokens],
    ...[usage.num_forward_passes, usage.cost_nanos, usage.rule_loss_tokens],
  );
}

/** Keys in the order of their ids, after one of them. */
export function listKeys(sql: Sql, afterId: string, limit: number): KeyView[] {
  const query = 'SELECT view FROM keys WHERE id > ? ORDER BY id LIMIT ?';
  const rows = sql.exec<{ view: string }>(query, afterId, limit).toArray();
  return rows.map(({ view }) => keyViewSchema.parse(JSON.parse(view)));
}

export function findKeyView(sql: Sql, keyId: string): KeyView | undefined {
  const [row] = sql.exec<{ view: string }>('SELECT view FROM keys WHERE id = ?', keyId).toArray();
  return row && keyViewSchema.parse(JSON.parse(row.view));
}

const COUNTS = [
  'num_requests',
  'prompt_tokens',
  'cached_tokens',
  'completion_tokens',
  'num_forward_passes',
  'cost_nanos',
  'rule_loss_tokens',
] as const satisfies (keyof UsageCounts)[];

export interface UsageQuery {
  keyId?: string | undefined;
  model?: string | undefined;
  /** Days such as 2026-11-24, both included. */
  from: string;
  to: string;
  /** What is told apart, the rest summed up; absent: everything. */
  groups?: readonly UsageGroup[];
  limit: number;
}

const GROUP_COLUMNS = { key: 'key_id', day: 'day', model: 'model' } as const satisfies Record<
  UsageGroup,
  string
>;

export type KeyUsage = UsageCounts & { key_id?: string; day?: string; model?: string };

export function listTotals(
  sql: Sql,
  { keyId, model, from, to, groups = USAGE_GROUPS, limit }: UsageQuery,
): KeyUsage[] {
  const columns = USAGE_GROUPS.filter((group) => groups.includes(group)).map((group) => GROUP_COLUMNS[group]);
  const counts = COUNTS.map((name) => `SUM(${name}) AS ${name}`);
  const order = ['day DESC', 'key_id', 'model'].filter((term) =>
    columns.some((name) => term.startsWith(name)),
  );
  const query = `SELECT ${[...columns, ...counts].join(', ')} FROM totals
    WHERE day BETWEEN ?1 AND ?2 AND (?3 IS NULL OR key_id = ?3) AND (?4 IS NULL OR model = ?4)
    GROUP BY ${columns.join(', ')} ORDER BY ${order.join(', ')} LIMIT ?5`;
  const rows = sql.exec<Record<string, string | number>>(
    query,
    from,
    to,
    keyId ?? null,
    model ?? null,
    limit,
  );
  return rows.toArray() as unknown as KeyUsage[];
}

export function recordUse(sql: Sql, keyId: string, atMs: number): void {
  const query = `INSERT INTO uses VALUES (?, ?) ON CONFLICT DO UPDATE SET at_ms = MAX(at_ms, excluded.at_ms)`;
  sql.exec(query, keyId, atMs);
}

/** Keys that were used since then, the last first. */
export function listUsedKeys(sql: Sql, sinceMs: number, limit: number): string[] {
  const query = 'SELECT key_id FROM uses WHERE at_ms >= ? ORDER BY at_ms DESC, key_id LIMIT ?';
  const rows = sql.exec<{ key_id: string }>(query, sinceMs, limit).toArray();
  return rows.map(({ key_id: keyId }) => keyId);
}

type AuditRow = AuditEntry & Record<string, SqlValue>;

/** Changes, newest first, before one of them. */
export function listAudit(sql: Sql, beforeId: number, limit: number): AuditEntry[] {
  const query =
    'SELECT id, at_ms, actor, action, subject, detail FROM audit WHERE id < ? ORDER BY id DESC LIMIT ?';
  return sql.exec<AuditRow>(query, beforeId, limit).toArray();
}

/** Writes down a change of the directory's own. */
export function recordAudit(
  sql: Sql,
  { actor, action, subject, detail }: { actor: string; action: string; subject: string; detail: object },
  nowMs: number,
): void {
  sql.exec(
    'INSERT INTO audit (at_ms, actor, action, subject, detail) VALUES (?, ?, ?, ?, ?)',
    ...[nowMs, actor, action, subject, JSON.stringify(detail)],
  );
}
