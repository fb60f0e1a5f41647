import { z } from 'zod';
import { COUNTS } from './counts.ts';
import { costNanos, type Price } from './price.ts';
import type { RequestRecord, TokenCounts, UsageFilter } from './types.ts';
import { EVERYTHING } from './usage.ts';
import type { Sql, SqlValue } from '../sql.ts';

const DAY_MS = 24 * 60 * 60 * 1000;
const metadataSchema = z.record(z.string(), z.string());
const deliveredSchema = z.array(z.int().nonnegative());

/** A request as it is stored. */
export interface RequestRow extends Record<string, SqlValue> {
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
  attempt: number;
  started_attempt: number;
  started_backend: string | null;
  backend: string | null;
  num_choices: number;
  max_tokens: number;
  context_length: number;
  slice_tokens: number;
  end_token: number;
  delivered: string;
  include_usage: number;
  answer_terms: string | null;
  reader: number;
  reader_left: number;
  rule_loss_tokens: number;
  lost_since_ms: number | null;
  num_asks: number;
  ask_at_ms: number | null;
}

export function findRow(sql: Sql, requestId: string): RequestRow | undefined {
  return sql.exec<RequestRow>('SELECT * FROM requests WHERE id = ?', requestId).toArray()[0];
}

export function isOpen(sql: Sql, requestId: string): boolean {
  return findRow(sql, requestId)?.state === 'open';
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

export function writeCounts(sql: Sql, requestId: string, counts: TokenCounts): void {
  sql.exec(
    `UPDATE requests SET prompt_tokens = ?, cached_tokens = ?, completion_tokens = ?, num_forward_passes = ?
     WHERE id = ?`,
    ...COUNTS.map((name) => counts[name]),
    requestId,
  );
}

function recordOf(row: RequestRow): RequestRecord {
  const { id, model, state, finish_reason, user, fingerprint, seed, tokens_hash } = row;
  const { prompt_tokens, cached_tokens, completion_tokens, num_forward_passes, rule_loss_tokens } = row;
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
    rule_loss_tokens,
    num_attempts: row.attempt + 1,
    fingerprint,
    seed,
    tokens_hash,
    user,
    metadata: row.metadata === null ? null : metadataSchema.parse(JSON.parse(row.metadata)),
  };
}

export function priceOfRow(row: RequestRow): Price {
  return { prompt: row.prompt_price, cached: row.cached_price, completion: row.completion_price };
}

export function countsOf(row: RequestRow): TokenCounts {
  return {
    promptTokens: row.prompt_tokens,
    cachedTokens: row.cached_tokens,
    completionTokens: row.completion_tokens,
    numForwardPasses: row.num_forward_passes,
  };
}

/** What is proven to have been sent of each choice. */
export function deliveredOf(row: RequestRow): number[] {
  const delivered = deliveredSchema.parse(JSON.parse(row.delivered));
  return Array.from({ length: row.num_choices }, (_, choice) => delivered[choice] ?? 0);
}
