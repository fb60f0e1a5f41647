import type { JournalAnswer } from '@tidar/shared/journal.ts';
import { sum } from './requests.ts';
import { countsOf, deliveredOf, findRow, type RequestRow } from './rows.ts';
import type { BillReason, Settlement, TokenCounts } from './types.ts';
import type { Sql } from '../sql.ts';

const HOUR_MS = 3_600_000;
/** After so long without its journal a request is billed by what is proven. */
export const RULE_AFTER_MS = 24 * HOUR_MS;
/** A journal keeps so much: whoever has not answered by then has forgotten. */
export const JOURNAL_RETENTION_MS = 48 * HOUR_MS;
const FIRST_RETRY_MS = 2_000;
const LONGEST_RETRY_MS = 600_000;
const RUNNING_RETRY_MS = 2_000;
/** Journals that are asked in one alarm. */
const MAX_ASKS = 50;

/** Where, and for which attempt, a journal is to be asked. */
export interface JournalQuestion {
  requestId: string;
  attempt: number;
  numChoices: number;
  fingerprint: string;
  /** Null: a release that did not say where its requests went. */
  backend: string | null;
}

/** What came of asking: the journal's answer, that it knows nothing of the request, or that nobody answered. */
export type JournalWord = { answer: JournalAnswer } | 'unknown' | 'unreachable';

/** What is to be asked now, the oldest first. */
export function dueQuestions(sql: Sql, nowMs: number): JournalQuestion[] {
  const query = 'SELECT * FROM requests WHERE ask_at_ms <= ? ORDER BY ask_at_ms LIMIT ?';
  return sql
    .exec<RequestRow>(query, nowMs, MAX_ASKS)
    .toArray()
    .map((row) => ({
      requestId: row.id,
      attempt: row.attempt,
      numChoices: row.num_choices,
      fingerprint: row.fingerprint ?? '',
      backend: row.backend,
    }));
}

/**
 * What a journal's word means for a request's bill: a settlement, or none yet, and then it is asked again later. A word
 * about an attempt that was raised meanwhile means nothing, nor does one about an answer that somebody relays again.
 */
export function hearJournal(
  sql: Sql,
  { requestId, attempt }: JournalQuestion,
  word: JournalWord,
  { nowMs, graceMs }: { nowMs: number; graceMs: number },
): Settlement | undefined {
  const row = findRow(sql, requestId);
  if (row === undefined || row.attempt !== attempt || row.ask_at_ms === null) return undefined;
  if (row.state === 'open' && row.ask_at_ms > nowMs) return undefined;
  if (row.backend === null) return ruleOf(row);
  if (word !== 'unreachable' && hasNeverStarted(row, word)) return neverStarted(row);
  if (typeof word === 'object' && word.answer.attempt === attempt && isPossible(row, word.answer)) {
    if (word.answer.state !== 'running') return billOf(row, word.answer);
    const againMs = row.reader_left === 1 ? RUNNING_RETRY_MS : graceMs;
    askAgain(sql, row, { atMs: nowMs + againMs, lostSinceMs: null, numAsks: 0 });
    return undefined;
  }
  return withoutJournal(sql, row, nowMs);
}

/** No prompt, and no choice, is longer than the model's context: a journal that says so is asked again. */
function isPossible(
  { context_length: most }: RequestRow,
  { usage, token_counts: counts }: JournalAnswer,
): boolean {
  return Math.max(usage.prompt_tokens, ...counts) <= most && usage.cached_tokens <= usage.prompt_tokens;
}

/** The attempt was granted, and its instance knows only of earlier ones, or of none though none of its own is lost. */
function hasNeverStarted(row: RequestRow, word: Exclude<JournalWord, 'unreachable'>): boolean {
  if (row.started_attempt === row.attempt) return false;
  return word === 'unknown' || word.answer.attempt < row.attempt;
}

/** Then the bill is exactly what was delivered before it was raised, of which the one who left told the hash. */
function neverStarted(row: RequestRow): Settlement {
  const tokensHash = row.reader_left === 1 ? row.tokens_hash : null;
  return { ...provenOf(row), tokensHash, finishReason: brokenReason(row), estimated: false };
}

/**
 * The end of each choice, as the journal has it. A connection that was taken over may have delivered more of an earlier
 * attempt than the last one came to: the same text, and not for nothing.
 */
function billOf(row: RequestRow, answer: JournalAnswer): Settlement {
  const { usage, token_counts: counts, tokens_hash: tokensHash } = answer;
  const ends = deliveredOf(row).map((delivered, choice) => Math.max(delivered, counts[choice] ?? 0));
  return {
    attempt: row.attempt,
    promptTokens: usage.prompt_tokens,
    cachedTokens: usage.cached_tokens,
    completionTokens: sum(ends),
    numForwardPasses: usage.num_forward_passes,
    finishReason: reasonOf(row, answer),
    estimated: false,
    tokensHash: sum(ends) === sum(counts) ? tokensHash : null,
  };
}

function reasonOf(row: RequestRow, { state, finish_reasons: reasons }: JournalAnswer): BillReason {
  if (state === 'ended') return reasons.includes('length') ? 'length' : 'stop';
  return state === 'cancelled' ? 'cancelled' : brokenReason(row);
}

const brokenReason = (row: RequestRow): BillReason => (row.reader_left === 1 ? 'error' : 'abandoned');

/** Nobody tells: asked again, ever more seldom; after a day the rule bills, and after two nobody is asked any more. */
function withoutJournal(sql: Sql, row: RequestRow, nowMs: number): Settlement | undefined {
  const lostSinceMs = row.lost_since_ms ?? nowMs;
  const waitMs = Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(row.num_asks, 20));
  const isForgotten = nowMs - lostSinceMs >= JOURNAL_RETENTION_MS;
  const atMs = isForgotten && row.state === 'settled' ? null : nowMs + waitMs;
  askAgain(sql, row, { atMs, lostSinceMs, numAsks: row.num_asks + 1 });
  return row.state === 'open' && nowMs - lostSinceMs >= RULE_AFTER_MS ? ruleOf(row) : undefined;
}

function askAgain(
  sql: Sql,
  row: RequestRow,
  { atMs, lostSinceMs, numAsks }: { atMs: number | null; lostSinceMs: number | null; numAsks: number },
): void {
  const query = 'UPDATE requests SET ask_at_ms = ?, lost_since_ms = ?, num_asks = ? WHERE id = ?';
  sql.exec(query, atMs, lostSinceMs, numAsks, row.id);
}

/** The highest count that was proven to the ledger. */
function ruleOf(row: RequestRow): Settlement {
  return { ...provenOf(row), finishReason: 'abandoned', estimated: true };
}

function provenOf(row: RequestRow): TokenCounts & Pick<Settlement, 'attempt' | 'tokensHash'> {
  const counts = countsOf(row);
  const completionTokens = Math.max(counts.completionTokens, sum(deliveredOf(row)));
  return { ...counts, completionTokens, attempt: row.attempt, tokensHash: null };
}
