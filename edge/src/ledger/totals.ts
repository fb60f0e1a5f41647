import { COUNTS } from './counts.ts';
import { scheduleOutbox } from './due.ts';
import type { DailyUsage, TokenCounts, UsageCounts, UsageFilter } from './types.ts';
import type { Sql } from '../sql.ts';

interface Addition {
  day: string;
  model: string;
  numRequests: number;
  counts: TokenCounts;
  costNanos: number;
  ruleLossTokens: number;
}

/** Adds to a day's total of a model, and has the directory told of it soon. */
export function addToTotals(
  sql: Sql,
  { day, model, numRequests, counts, costNanos, ruleLossTokens }: Addition,
  nowMs: number,
): void {
  sql.exec('INSERT INTO totals (day, model, version) VALUES (?, ?, 0) ON CONFLICT DO NOTHING', day, model);
  sql.exec(
    `UPDATE totals SET version = version + 1, num_requests = num_requests + ?, prompt_tokens = prompt_tokens + ?,
     cached_tokens = cached_tokens + ?, completion_tokens = completion_tokens + ?,
     num_forward_passes = num_forward_passes + ?, cost_nanos = cost_nanos + ?,
     rule_loss_tokens = rule_loss_tokens + ? WHERE day = ? AND model = ?`,
    numRequests,
    ...COUNTS.map((name) => counts[name]),
    costNanos,
    ruleLossTokens,
    day,
    model,
  );
  scheduleOutbox(sql, nowMs);
}

const COLUMNS = `day, model, num_requests, prompt_tokens, cached_tokens, completion_tokens, num_forward_passes,
  cost_nanos, rule_loss_tokens`;
type TotalsRow = Record<keyof UsageCounts, number> & { day: string; model: string };

/** What each day and model was billed. */
export function dailyTotals(sql: Sql, { model, from, to }: UsageFilter): DailyUsage[] {
  const query = `SELECT ${COLUMNS} FROM totals WHERE day BETWEEN ? AND ? AND model = COALESCE(?, model)
    ORDER BY day DESC, model`;
  return sql.exec<TotalsRow>(query, from, to, model ?? null).toArray();
}

export interface UnsentTotals {
  version: number;
  usage: DailyUsage;
}

/** Totals that the directory has not confirmed as they are now. */
export function unsentTotals(sql: Sql, limit: number): UnsentTotals[] {
  const query = `SELECT ${COLUMNS}, version FROM totals WHERE version > sent_version LIMIT ?`;
  const rows = sql.exec<TotalsRow & { version: number }>(query, limit).toArray();
  return rows.map(({ version, ...usage }) => ({ version, usage }));
}

export function markTotalsSent(sql: Sql, sent: readonly UnsentTotals[]): void {
  for (const { version, usage } of sent) {
    const query = 'UPDATE totals SET sent_version = MAX(sent_version, ?) WHERE day = ? AND model = ?';
    sql.exec(query, version, usage.day, usage.model);
  }
}

/** Tokens and money of the days that begin so: a day, a month, or all. */
export function spentSince(sql: Sql, dayPrefix: string): { tokens: number; nanos: number } {
  const query = `SELECT TOTAL(prompt_tokens + completion_tokens) AS tokens, TOTAL(cost_nanos) AS nanos
    FROM totals WHERE substr(day, 1, ?) = ?`;
  return sql.exec<{ tokens: number; nanos: number }>(query, dayPrefix.length, dayPrefix).one();
}
