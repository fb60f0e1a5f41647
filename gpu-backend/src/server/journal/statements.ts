import type { DatabaseSync, SQLOutputValue } from 'node:sqlite';
import type { ErrorObject } from '@tidar/shared/errors.ts';
import type { JournalState } from '@tidar/shared/journal.ts';
import type { FinishReason, TokenLogprob } from '@tidar/shared/protocol.ts';
import type { Entry, GenerationRecord, NewRecord, StepRecord } from './records.ts';
import { fromBlob, toBlob } from './token-blob.ts';

const INSERT_GENERATION = `INSERT INTO generations
  (request_id, attempt, state, created_ms, model, fingerprint, seed, is_stored, num_prompt_tokens, finish_reasons,
   request, prompt_ids)
  VALUES (?, ?, 'running', ?, ?, ?, ?, ?, ?, ?, ?, ?)`;
const CLOSE = `UPDATE generations SET state = ?, closed_ms = ?, num_forward_passes = ?, error = ?, token_counts = ?,
  tokens_hash = ? WHERE id = ?`;

type Row = Record<string, SQLOutputValue>;

/** The journal's tables in terms of its records. It begins and ends no transaction. */
export class Statements {
  readonly #database: DatabaseSync;
  readonly #insertStep;
  readonly #insertGeneration;
  readonly #selectSteps;
  readonly #selectGeneration;

  constructor(database: DatabaseSync) {
    this.#database = database;
    this.#insertGeneration = database.prepare(INSERT_GENERATION);
    this.#insertStep = database.prepare('INSERT INTO steps VALUES (?, ?, ?, ?, ?, ?)');
    this.#selectSteps = database.prepare(
      'SELECT * FROM steps WHERE generation = ? AND seq >= ? AND seq < ? ORDER BY seq LIMIT ?',
    );
    this.#selectGeneration = database.prepare(
      'SELECT * FROM generations WHERE request_id = ? AND attempt = ?',
    );
  }

  /** Its id, and how many steps it has already: what it was resumed with. */
  insert(record: NewRecord, nowMs: number): { id: number; numSteps: number } {
    const { requestId, attempt, model, fingerprint, seed, isStored, request, promptIds, resumedIds } = record;
    const { lastInsertRowid } = this.#insertGeneration.run(
      requestId,
      attempt,
      nowMs,
      model,
      fingerprint,
      seed,
      isStored ? 1 : 0,
      promptIds.length,
      JSON.stringify(resumedIds.map(() => null)),
      request,
      toBlob(promptIds),
    );
    const id = Number(lastInsertRowid);
    let numSteps = 0;
    resumedIds.forEach((tokenIds, choice) => {
      if (tokenIds.length > 0) this.#step(id, numSteps++, { choice, tokenIds, isLast: false });
    });
    return { id, numSteps };
  }

  write(id: number, entry: Entry, nowMs: number): void {
    switch (entry.type) {
      case 'start': {
        const { numCachedTokens, promptLogprobs } = entry;
        const sql = 'UPDATE generations SET num_cached_tokens = ?, prompt_logprobs = ? WHERE id = ?';
        this.#database.prepare(sql).run(numCachedTokens, toJson(promptLogprobs), id);
        return;
      }
      case 'step':
        return this.#step(id, entry.seq, entry);
      case 'finish': {
        const sql = 'UPDATE generations SET finish_reasons = ? WHERE id = ?';
        this.#database.prepare(sql).run(JSON.stringify(entry.finishReasons), id);
        return;
      }
      case 'close':
        this.close(id, entry, nowMs);
    }
  }

  close(id: number, entry: Omit<Entry & { type: 'close' }, 'type'>, nowMs: number): void {
    const { state, numForwardPasses, error, tokenCounts, tokensHash } = entry;
    this.#database
      .prepare(CLOSE)
      .run(state, nowMs, numForwardPasses ?? null, toJson(error), toJson(tokenCounts), tokensHash, id);
  }

  /** Deletes what `store: false` is not to leave. */
  forget(id: number): void {
    this.#database
      .prepare(
        'UPDATE generations SET request = NULL, prompt_ids = NULL, prompt_logprobs = NULL WHERE id = ?',
      )
      .run(id);
    this.#database.prepare('DELETE FROM steps WHERE generation = ?').run(id);
  }

  /** The attempts of a request of which something is kept. */
  keptOf(requestId: string): { id: number; attempt: number; isRunning: boolean }[] {
    const sql = 'SELECT id, attempt, state FROM generations WHERE request_id = ? AND request IS NOT NULL';
    return this.#database
      .prepare(sql)
      .all(requestId)
      .map(({ id, attempt, state }) => ({
        id: Number(id),
        attempt: Number(attempt),
        isRunning: state === 'running',
      }));
  }

  find(requestId: string, attempt: number): GenerationRecord | undefined {
    const row = this.#selectGeneration.get(requestId, attempt);
    return row === undefined ? undefined : toRecord(row);
  }

  highestAttempt(requestId: string): number | undefined {
    const row = this.#database
      .prepare('SELECT max(attempt) AS attempt FROM generations WHERE request_id = ?')
      .get(requestId);
    return typeof row?.['attempt'] === 'number' ? row['attempt'] : undefined;
  }

  /** Steps [from, end) of a generation, at most `limit` of them. */
  steps(id: number, { from, end, limit }: { from: number; end: number; limit: number }): StepRecord[] {
    return this.#selectSteps.all(id, from, end, limit).map(toStep);
  }

  /** All tokens of each choice so far. */
  tokensOf(id: number): number[][] {
    const row = this.#database.prepare('SELECT finish_reasons FROM generations WHERE id = ?').get(id);
    const lists = fromJson<unknown[]>(row?.['finish_reasons'])?.map((): number[] => []) ?? [];
    const steps = this.#database
      .prepare('SELECT choice, token_ids FROM steps WHERE generation = ? ORDER BY seq')
      .iterate(id);
    for (const step of steps) {
      for (const tokenId of fromBlob(step['token_ids'] as Uint8Array))
        lists[Number(step['choice'])]?.push(tokenId);
    }
    return lists;
  }

  /** Ids of generations that no process runs any more, though they are written as running. */
  orphans(): number[] {
    const rows = this.#database.prepare("SELECT id FROM generations WHERE state = 'running'").all();
    return rows.map(({ id }) => Number(id));
  }

  /** Ended ones of `store: false` whose content is still there: the process died before it could forget them. */
  unforgotten(): number[] {
    const rows = this.#database
      .prepare(
        "SELECT id FROM generations WHERE is_stored = 0 AND request IS NOT NULL AND state != 'running'",
      )
      .all();
    return rows.map(({ id }) => Number(id));
  }

  /** Deletes up to `limit` generations that were closed before; how many it were. */
  deleteClosedBefore(closedMs: number, limit: number): number {
    const ids = this.#database
      .prepare('SELECT id FROM generations WHERE closed_ms < ? LIMIT ?')
      .all(closedMs, limit);
    const deleteSteps = this.#database.prepare('DELETE FROM steps WHERE generation = ?');
    const deleteGeneration = this.#database.prepare('DELETE FROM generations WHERE id = ?');
    for (const { id } of ids) {
      deleteSteps.run(Number(id));
      deleteGeneration.run(Number(id));
    }
    return ids.length;
  }

  count(): number {
    return Number(this.#database.prepare('SELECT count(*) AS n FROM generations').get()?.['n']);
  }

  #step(id: number, seq: number, { choice, isLast, tokenIds, logprobs }: StepRecord): void {
    this.#insertStep.run(id, seq, choice, isLast ? 1 : 0, toBlob(tokenIds), toJson(logprobs));
  }
}

const toJson = (value: unknown): string | null => (value === undefined ? null : JSON.stringify(value));
const fromJson = <Value>(text: SQLOutputValue | undefined): Value | undefined =>
  typeof text === 'string' ? (JSON.parse(text) as Value) : undefined;
const numberOf = (value: SQLOutputValue | undefined): number | undefined =>
  typeof value === 'number' ? value : undefined;

/** The rows are this class's own writing, so that their JSON needs no schema. */
function toRecord(row: Row): GenerationRecord {
  return {
    id: Number(row['id']),
    requestId: String(row['request_id']),
    attempt: Number(row['attempt']),
    state: row['state'] as JournalState,
    model: String(row['model']),
    fingerprint: String(row['fingerprint']),
    seed: String(row['seed']),
    isStored: row['is_stored'] === 1,
    numPromptTokens: Number(row['num_prompt_tokens']),
    numCachedTokens: numberOf(row['num_cached_tokens']),
    numForwardPasses: numberOf(row['num_forward_passes']),
    finishReasons: fromJson<(FinishReason | null)[]>(row['finish_reasons']) ?? [],
    tokenCounts: fromJson<number[]>(row['token_counts']),
    tokensHash: row['tokens_hash'] === null ? undefined : String(row['tokens_hash']),
    error: fromJson<ErrorObject>(row['error']),
    request: row['request'] === null ? undefined : String(row['request']),
    promptIds: row['prompt_ids'] instanceof Uint8Array ? fromBlob(row['prompt_ids']) : undefined,
    promptLogprobs: fromJson<(TokenLogprob | null)[]>(row['prompt_logprobs']),
  };
}

function toStep(row: Row): StepRecord {
  return {
    choice: Number(row['choice']),
    tokenIds: fromBlob(row['token_ids'] as Uint8Array),
    isLast: row['is_last'] === 1,
    logprobs: fromJson<TokenLogprob[]>(row['logprobs']),
  };
}
