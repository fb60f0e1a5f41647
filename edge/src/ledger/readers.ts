import { TidarError } from '@tidar/shared/errors.ts';
import { grantOf, progressRefusal, takenOver } from './requests.ts';
import { findRow, priceOfRow } from './rows.ts';
import type { Attachment, Progress } from './types.ts';
import type { Sql } from '../sql.ts';

/**
 * Makes the caller the one connection that relays a request's answer; the one before proves nothing any more. With
 * `expectedReader`, only if nobody else was quicker. Undefined: there is no such request.
 */
export function attachReader(
  sql: Sql,
  requestId: string,
  expectedReader?: number,
): Attachment | TidarError | undefined {
  const row = findRow(sql, requestId);
  if (row === undefined) return undefined;
  if (expectedReader !== undefined && expectedReader !== row.reader) return takenOver();
  if (row.fingerprint === null || row.seed === null || row.backend === null) {
    return new TidarError('not_found', 'This request is of an older release, which cannot go on with it.');
  }
  const isOpen = row.state === 'open';
  const query = `UPDATE requests SET reader = reader + 1, reader_left = 0, tokens_hash = ? WHERE id = ?`;
  sql.exec(query, isOpen ? null : row.tokens_hash, requestId);
  return {
    ...grantOf(row),
    reader: row.reader + 1,
    state: row.state,
    completionTokens: row.completion_tokens,
    backend: row.backend,
    started:
      row.started_backend === null
        ? undefined
        : { attempt: row.started_attempt, backend: row.started_backend },
    model: row.model,
    fingerprint: row.fingerprint,
    seed: row.seed,
    createdMs: row.admitted_at_ms,
    price: priceOfRow(row),
    terms: {
      numChoices: row.num_choices,
      maxTokens: row.max_tokens,
      contextLength: row.context_length,
      sliceTokens: row.slice_tokens,
      includeUsage: row.include_usage === 1,
      answerTerms: row.answer_terms ?? undefined,
    },
  };
}

/** Who takes an open answer over has time for it: until then no journal's word settles it. */
export function putOffQuestion(sql: Sql, requestId: string, askAtMs: number): void {
  const query = `UPDATE requests SET ask_at_ms = MAX(ask_at_ms, ?) WHERE id = ? AND state = 'open'`;
  sql.exec(query, askAtMs, requestId);
}

/**
 * The connection is gone: when its grace is over, the backend's journal is asked for what came of it. `tokensHash` is of
 * what it delivered, for where nothing else came of it.
 */
export function leaveReader(
  sql: Sql,
  requestId: string,
  progress: Pick<Progress, 'attempt' | 'reader' | 'delivered'>,
  { tokensHash, askAtMs }: { tokensHash: string | null; askAtMs: number },
): void {
  if (progressRefusal(findRow(sql, requestId), progress) !== undefined) return;
  const query = 'UPDATE requests SET reader_left = 1, tokens_hash = ?, ask_at_ms = ? WHERE id = ?';
  sql.exec(query, tokensHash, askAtMs, requestId);
}

/** The number of the connection that relays, and whether it has said that it left. */
export function readerOf(sql: Sql, requestId: string): { reader: number; hasLeft: boolean } | undefined {
  const row = findRow(sql, requestId);
  return row && { reader: row.reader, hasLeft: row.reader_left === 1 };
}
