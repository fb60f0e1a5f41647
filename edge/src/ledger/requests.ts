import { z } from 'zod';
import { checkedCounts, COUNTS, countsDifference, highestCounts, NO_TOKENS } from './counts.ts';
import { costNanos, type Hold, type Price } from './price.ts';
import { addToTotals } from './totals.ts';
import type { NewRequest, Report, RequestRecord, Settlement, TokenCounts, UsageFilter } from './types.ts';
import { EVERYTHING } from './usage.ts';
import type { Sql, SqlValue } from '../sql.ts';

const DAY_MS = 24 * 60 * 60 * 1000;
const metadataSchema = z.record(z.string(), z.string());

interface RequestRow extends Record<string, SqlValue> {
  id: string;
  model: string;
  admitted_at_ms: number;
  hold_tokens: number;
  hold_nanos: number;
  prompt_tokens: number;
  cached_tokens: number;
  completion_tokens: number;
  num_forward_passes: number;
  prompt_price: number;
  cached_price: number;
  completion_price: number;
  state: 'open' | 'settled';
  finish_reason: string | null;
  estimated: number;
  fingerprint: string | null;
  seed: string | null;
  tokens_hash: string | null;
  settled_at_ms: number | null;
  user: string | null;
  metadata: string | null;
}

function findRow(sql: Sql, requestId: string): RequestRow | undefined {
  return sql.exec<RequestRow>('SELECT * FROM requests WHERE id = ?', requestId).toArray()[0];
}

/** Whether the request stands in the ledger: admitting it again is then the same admission. */
export function hasRequest(sql: Sql, requestId: string): boolean {
  return findRow(sql, requestId) !== undefined;
}

export function isOpen(sql: Sql, requestId: string): boolean {
  return findRow(sql, requestId)?.state === 'open';
}

/** Opens a request with its hold; it is due for the alarm after its grace. */
export function openRequest(sql: Sql, request: NewRequest, nowMs: number): void {
  const { price, hold } = request;
  sql.exec(
    `INSERT INTO requests (id, model, user, metadata, admitted_at_ms, hold_tokens, hold_nanos, due_at_ms,
     fingerprint, seed, prompt_price, cached_price, completion_price)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    request.requestId,
    request.model,
    request.user ?? null,
    request.metadata === undefined ? null : JSON.stringify(request.metadata),
    nowMs,
    hold.tokens,
    hold.nanos,
    nowMs + request.graceMs,
    request.fingerprint,
    request.seed,
    price.prompt,
    price.cached,
    price.completion,
  );
}

/**
 * Raises an open request's proven counts, lowers its hold, puts its due time off; too late it does nothing. Returns
 * by how many tokens the hold shrank.
 */
export function reportRequest(sql: Sql, requestId: string, report: Report, nowMs: number): number {
  const row = findRow(sql, requestId);
  if (row === undefined || row.state === 'settled') return 0;
  writeCounts(sql, requestId, highestCounts(countsOf(row), checkedCounts(report)));
  const holdTokens = Math.min(row.hold_tokens, report.hold.tokens);
  sql.exec(
    'UPDATE requests SET due_at_ms = MAX(due_at_ms, ?), hold_tokens = ?, hold_nanos = MIN(hold_nanos, ?) WHERE id = ?',
    nowMs + report.graceMs,
    holdTokens,
    report.hold.nanos,
    requestId,
  );
  return row.hold_tokens - holdTokens;
}

/**
 * Turns an open request into its one bill; however often it is called, the day's totals count it once. An estimated
 * bill is replaced once by a true one, never the other way round. Returns how many tokens were held, or billed before,
 * and are not in the bill.
 */
export function settleRequest(sql: Sql, requestId: string, settlement: Settlement, nowMs: number): number {
  const row = findRow(sql, requestId);
  if (row === undefined) return 0;
  const wasOpen = row.state === 'open';
  if (!wasOpen && !(row.estimated === 1 && !settlement.estimated)) return 0;
  const before = wasOpen ? NO_TOKENS : countsOf(row);
  const checked = checkedCounts(settlement);
  const counts = settlement.estimated ? highestCounts(countsOf(row), checked) : checked;
  writeCounts(sql, requestId, counts);
  sql.exec(
    `UPDATE requests SET state = 'settled', hold_tokens = 0, hold_nanos = 0, finish_reason = ?, estimated = ?,
     tokens_hash = ?, settled_at_ms = ? WHERE id = ?`,
    settlement.finishReason,
    settlement.estimated ? 1 : 0,
    settlement.tokensHash,
    nowMs,
    requestId,
  );
  const price = priceOfRow(row);
  const addition = {
    // A bill belongs to the day of its admission, so that replacing it changes the same day.
    day: new Date(row.admitted_at_ms).toISOString().slice(0, 10),
    model: row.model,
    numRequests: wasOpen ? 1 : 0,
    counts: countsDifference(counts, before),
    costNanos: costNanos(price, counts) - costNanos(price, before),
  };
  addToTotals(sql, addition, nowMs);
  return (wasOpen ? row.hold_tokens : billedTokens(before)) - billedTokens(counts);
}

/** The open requests that nobody has reported on for their grace, with what is proven of them. */
export function dueRequests(sql: Sql, nowMs: number): { requestId: string; settlement: Settlement }[] {
  const query = `SELECT * FROM requests WHERE state = 'open' AND due_at_ms <= ?`;
  const rows = sql.exec<RequestRow>(query, nowMs).toArray();
  return rows.map((row) => ({
    requestId: row.id,
    settlement: { ...countsOf(row), finishReason: 'abandoned', estimated: true, tokensHash: null },
  }));
}

/** What the open requests may still use at most, together, and how many they are. */
export function heldByOpen(sql: Sql): Hold & { numOpen: number } {
  const query = `SELECT COUNT(*) AS numOpen, TOTAL(hold_tokens) AS tokens, TOTAL(hold_nanos) AS nanos
    FROM requests WHERE state = 'open'`;
  return sql.exec<{ numOpen: number; tokens: number; nanos: number }>(query).one();
}

/** The last admitted requests, newest first. */
export function recentRequests(
  sql: Sql,
  limit: number,
  { model, from, to }: UsageFilter = EVERYTHING,
): RequestRecord[] {
  const query = `SELECT * FROM requests WHERE admitted_at_ms >= ? AND admitted_at_ms < ?
    AND model = COALESCE(?, model) ORDER BY admitted_at_ms DESC, rowid DESC LIMIT ?`;
  const endMs = Date.parse(to) + DAY_MS;
  return sql
    .exec<RequestRow>(query, Date.parse(from), endMs, model ?? null, limit)
    .toArray()
    .map(recordOf);
}

export function findRequest(sql: Sql, requestId: string): RequestRecord | undefined {
  const row = findRow(sql, requestId);
  return row === undefined ? undefined : recordOf(row);
}

function writeCounts(sql: Sql, requestId: string, counts: TokenCounts): void {
  sql.exec(
    `UPDATE requests SET prompt_tokens = ?, cached_tokens = ?, completion_tokens = ?, num_forward_passes = ?
     WHERE id = ?`,
    ...COUNTS.map((name) => counts[name]),
    requestId,
  );
}

function recordOf(row: RequestRow): RequestRecord {
  const { id, model, state, finish_reason, user, fingerprint, seed, tokens_hash } = row;
  const { prompt_tokens, cached_tokens, completion_tokens, num_forward_passes } = row;
  return {
    id,
    model,
    created_ms: row.admitted_at_ms,
    settled_ms: row.settled_at_ms,
    state,
    finish_reason,
    prompt_tokens,
    cached_tokens,
    completion_tokens,
    num_forward_passes,
    cost_nanos: costNanos(priceOfRow(row), countsOf(row)),
    estimated: row.estimated === 1,
    fingerprint,
    seed,
    tokens_hash,
    user,
    metadata: row.metadata === null ? null : metadataSchema.parse(JSON.parse(row.metadata)),
  };
}

function priceOfRow(row: RequestRow): Price {
  return { prompt: row.prompt_price, cached: row.cached_price, completion: row.completion_price };
}

function countsOf(row: RequestRow): TokenCounts {
  return {
    promptTokens: row.prompt_tokens,
    cachedTokens: row.cached_tokens,
    completionTokens: row.completion_tokens,
    numForwardPasses: row.num_forward_passes,
  };
}

const billedTokens = (counts: TokenCounts): number => counts.promptTokens + counts.completionTokens;
