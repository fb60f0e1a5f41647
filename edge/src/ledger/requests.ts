import { z } from 'zod';
import type { NewRequest, Report, RequestRecord, Settlement, TokenCounts, UsageCounts } from './types.ts';

const metadataSchema = z.record(z.string(), z.string());

interface RequestRow extends Record<string, SqlStorageValue> {
  id: string;
  model: string;
  admitted_at_ms: number;
  prompt_tokens: number;
  cached_tokens: number;
  completion_tokens: number;
  num_forward_passes: number;
  state: 'open' | 'settled';
  finish_reason: string | null;
  estimated: number;
  user: string | null;
  metadata: string | null;
}

const COUNTS: readonly (keyof TokenCounts)[] = [
  'promptTokens',
  'cachedTokens',
  'completionTokens',
  'numForwardPasses',
];
const NO_TOKENS: TokenCounts = { promptTokens: 0, cachedTokens: 0, completionTokens: 0, numForwardPasses: 0 };

function findRow(sql: SqlStorage, requestId: string): RequestRow | undefined {
  return sql.exec<RequestRow>('SELECT * FROM requests WHERE id = ?', requestId).toArray()[0];
}

/** Whether the request stands in the ledger: admitting it again is then the same admission. */
export function hasRequest(sql: SqlStorage, requestId: string): boolean {
  return findRow(sql, requestId) !== undefined;
}

/** Opens a request with its hold; it is due for the alarm after its grace. */
export function openRequest(sql: SqlStorage, request: NewRequest, nowMs: number): void {
  sql.exec(
    `INSERT INTO requests (id, model, user, metadata, admitted_at_ms, hold_tokens, due_at_ms)
     VALUES (?, ?, ?, ?, ?, ?, ?)`,
    request.requestId,
    request.model,
    request.user ?? null,
    request.metadata === undefined ? null : JSON.stringify(request.metadata),
    nowMs,
    request.holdTokens,
    nowMs + request.graceMs,
  );
}

/** Raises an open request's proven counts, lowers its hold, puts its due time off; too late it does nothing. */
export function reportRequest(sql: SqlStorage, requestId: string, report: Report, nowMs: number): void {
  const row = findRow(sql, requestId);
  if (row === undefined || row.state === 'settled') return;
  writeCounts(sql, requestId, highest(countsOf(row), checked(report)));
  sql.exec(
    'UPDATE requests SET due_at_ms = MAX(due_at_ms, ?), hold_tokens = MIN(hold_tokens, ?) WHERE id = ?',
    nowMs + report.graceMs,
    report.holdTokens,
    requestId,
  );
}

/**
 * Turns an open request into its one bill; however often it is called, the day's totals count it once.
 * An estimated bill is replaced once by a true one, never the other way round.
 */
export function settleRequest(
  sql: SqlStorage,
  requestId: string,
  settlement: Settlement,
  nowMs: number,
): void {
  const row = findRow(sql, requestId);
  if (row === undefined) return;
  const isOpen = row.state === 'open';
  if (!isOpen && !(row.estimated === 1 && !settlement.estimated)) return;
  const counts = settlement.estimated ? highest(countsOf(row), checked(settlement)) : checked(settlement);
  writeCounts(sql, requestId, counts);
  sql.exec(
    `UPDATE requests SET state = 'settled', hold_tokens = 0, finish_reason = ?, estimated = ?, settled_at_ms = ?
     WHERE id = ?`,
    settlement.finishReason,
    settlement.estimated ? 1 : 0,
    nowMs,
    requestId,
  );
  addToTotals(sql, row, isOpen ? 1 : 0, difference(counts, isOpen ? NO_TOKENS : countsOf(row)));
}

/** Settles by their proven counts the open requests that nobody has reported on for their grace. */
export function settleDueRequests(sql: SqlStorage, nowMs: number): void {
  const due = sql
    .exec<RequestRow>(`SELECT * FROM requests WHERE state = 'open' AND due_at_ms <= ?`, nowMs)
    .toArray();
  for (const row of due) {
    settleRequest(sql, row.id, { ...countsOf(row), finishReason: 'abandoned', estimated: true }, nowMs);
  }
}

/** When the alarm has work next, if any request is open. */
export function nextDueMs(sql: SqlStorage): number | undefined {
  const query = `SELECT MIN(due_at_ms) AS due FROM requests WHERE state = 'open'`;
  return sql.exec<{ due: number | null }>(query).one().due ?? undefined;
}

/** What the open requests may still cost at most, together. */
export function heldTokens(sql: SqlStorage): number {
  const query = `SELECT TOTAL(hold_tokens) AS held FROM requests WHERE state = 'open'`;
  return sql.exec<{ held: number }>(query).one().held;
}

/** The last admitted requests, newest first. */
export function recentRequests(sql: SqlStorage, limit: number): RequestRecord[] {
  const query = 'SELECT * FROM requests ORDER BY admitted_at_ms DESC, rowid DESC LIMIT ?';
  return sql.exec<RequestRow>(query, limit).toArray().map(recordOf);
}

/** What each day and model was billed. */
export function dailyTotals(sql: SqlStorage): (UsageCounts & { day: string; model: string })[] {
  const query = 'SELECT * FROM totals ORDER BY day DESC, model';
  return sql.exec<Record<keyof UsageCounts, number> & { day: string; model: string }>(query).toArray();
}

function writeCounts(sql: SqlStorage, requestId: string, counts: TokenCounts): void {
  sql.exec(
    `UPDATE requests SET prompt_tokens = ?, cached_tokens = ?, completion_tokens = ?, num_forward_passes = ?
     WHERE id = ?`,
    ...COUNTS.map((name) => counts[name]),
    requestId,
  );
}

function addToTotals(sql: SqlStorage, row: RequestRow, numRequests: number, counts: TokenCounts): void {
  // A bill belongs to the day of its admission, so that replacing it changes the same day.
  const day = new Date(row.admitted_at_ms).toISOString().slice(0, 10);
  sql.exec('INSERT INTO totals (day, model) VALUES (?, ?) ON CONFLICT DO NOTHING', day, row.model);
  sql.exec(
    `UPDATE totals SET num_requests = num_requests + ?, prompt_tokens = prompt_tokens + ?,
     cached_tokens = cached_tokens + ?, completion_tokens = completion_tokens + ?,
     num_forward_passes = num_forward_passes + ? WHERE day = ? AND model = ?`,
    numRequests,
    ...COUNTS.map((name) => counts[name]),
    day,
    row.model,
  );
}

function recordOf(row: RequestRow): RequestRecord {
  const { id, model, state, finish_reason, user } = row;
  const { prompt_tokens, cached_tokens, completion_tokens, num_forward_passes } = row;
  const counts = { prompt_tokens, cached_tokens, completion_tokens, num_forward_passes };
  const metadata = row.metadata === null ? null : metadataSchema.parse(JSON.parse(row.metadata));
  const estimated = row.estimated === 1;
  return {
    id,
    model,
    created_ms: row.admitted_at_ms,
    state,
    finish_reason,
    ...counts,
    estimated,
    user,
    metadata,
  };
}

function countsOf(row: RequestRow): TokenCounts {
  return {
    promptTokens: row.prompt_tokens,
    cachedTokens: row.cached_tokens,
    completionTokens: row.completion_tokens,
    numForwardPasses: row.num_forward_passes,
  };
}

function checked(counts: TokenCounts): TokenCounts {
  for (const name of COUNTS) {
    if (!Number.isSafeInteger(counts[name]) || counts[name] < 0)
      throw new RangeError(`${name} is ${counts[name]}`);
  }
  return counts;
}

function highest(one: TokenCounts, other: TokenCounts): TokenCounts {
  return combine(one, other, Math.max);
}

function difference(one: TokenCounts, other: TokenCounts): TokenCounts {
  return combine(one, other, (a, b) => a - b);
}

function combine(one: TokenCounts, other: TokenCounts, by: (a: number, b: number) => number): TokenCounts {
  return {
    promptTokens: by(one.promptTokens, other.promptTokens),
    cachedTokens: by(one.cachedTokens, other.cachedTokens),
    completionTokens: by(one.completionTokens, other.completionTokens),
    numForwardPasses: by(one.numForwardPasses, other.numForwardPasses),
  };
}
