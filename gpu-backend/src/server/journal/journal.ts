import { statSync } from 'node:fs';
import type { DatabaseSync } from 'node:sqlite';
import { setImmediate } from 'node:timers/promises';
import { TidarError } from '@tidar/shared/errors.ts';
import type { Entry, GenerationRecord, NewRecord, StepRecord } from './records.ts';
import { openJournalFile } from './schema.ts';
import { Statements } from './statements.ts';
import { hashTokens } from './token-blob.ts';

const HOUR_MS = 3_600_000;
/** Generations that one transaction of a pruning deletes: what else is to be written waits for no more. */
const PRUNE_BATCH = 50;

export interface JournalOptions {
  readonly path: string;
  /** How long what has ended is kept. */
  readonly retentionMs: number;
  /** Told of every transaction, for metrics. */
  readonly onWrite?: (seconds: number, numEntries: number) => void;
}

/** Where a generation is written. */
export interface JournalPlace {
  readonly id: number;
  /** What it was resumed with is steps before its own. */
  readonly numSteps: number;
}

interface Waiting {
  readonly id: number;
  readonly entry: Entry;
  readonly settled: (failure: TidarError | undefined) => void;
}

/**
 * What a backend has generated, on disk before it is sent, so that its death loses and doubles nothing. All that comes
 * from one turn of the engine is written in one transaction: `write` collects, and tells when it is done. One file, one
 * process, one owner.
 */
export class Journal {
  readonly path: string;
  readonly #options: JournalOptions;
  readonly #database: DatabaseSync;
  readonly #statements: Statements;
  #waiting: Waiting[] = [];
  #isFlushPlanned = false;
  #isClosed = false;
  readonly #pruneTimer: NodeJS.Timeout;

  /** Opens the file, marks what ran when its last process died as interrupted, and drops what is too old. */
  constructor(options: JournalOptions) {
    this.#options = options;
    this.path = options.path;
    this.#database = openJournalFile(options.path);
    this.#statements = new Statements(this.#database);
    this.#transact(() => this.#recover());
    this.#pruneTimer = setInterval(() => void this.prune(), HOUR_MS).unref();
    void this.prune();
  }

  /**
   * Writes that an attempt begins, then starts it. Throws `duplicate_attempt` for one that is not higher than all that
   * are known of its request; where `start` throws, nothing is written, and it may be tried again.
   */
  begin<Started>(record: NewRecord, start: (place: JournalPlace) => Started): Started {
    return this.#transact(() => {
      this.#assertNew(record);
      return start(this.#statements.insert(record, Date.now()));
    });
  }

  /** Writes an entry soon, in the order of calls; `settled` is called when it is there to stay, or cannot be. */
  write(id: number, entry: Entry, settled: Waiting['settled']): void {
    this.#waiting.push({ id, entry, settled });
    if (this.#isFlushPlanned) return;
    this.#isFlushPlanned = true;
    // All messages of a turn of the engine are taken before this runs.
    void setImmediate().then(() => this.#flush());
  }

  /** Deletes the prompt, the tokens and the request of one that is not to be stored. */
  forget(id: number): void {
    this.#transact(() => this.#statements.forget(id));
  }

  /** Deletes the same of all attempts of a request, of how many; undefined, and none, while one of them runs. */
  forgetRequest(requestId: string): number | undefined {
    return this.#transact(() => {
      const kept = this.#statements.keptOf(requestId);
      if (kept.some(({ isRunning }) => isRunning)) return undefined;
      for (const { id } of kept) this.#statements.forget(id);
      return kept.length;
    });
  }

  find(requestId: string, attempt: number): GenerationRecord | undefined {
    return this.#statements.find(requestId, attempt);
  }

  tokensOf(id: number): number[][] {
    return this.#statements.tokensOf(id);
  }

  steps(id: number, range: { from: number; end: number; limit: number }): StepRecord[] {
    return this.#statements.steps(id, range);
  }

  /** Deletes what was closed longer ago than is kept, a little at a time. */
  async prune(nowMs = Date.now()): Promise<void> {
    const before = nowMs - this.#options.retentionMs;
    for (;;) {
      if (this.#isClosed) return;
      const deleted = this.#transact(() => this.#statements.deleteClosedBefore(before, PRUNE_BATCH));
      if (deleted < PRUNE_BATCH) return;
      await setImmediate();
    }
  }

  get numGenerations(): number {
    return this.#statements.count();
  }

  /** Of the file and its write-ahead log. */
  get numBytes(): number {
    return [this.path, `${this.path}-wal`].reduce(
      (total, path) => total + (statSync(path, { throwIfNoEntry: false })?.size ?? 0),
      0,
    );
  }

  close(): void {
    if (this.#isClosed) return;
    this.#flush();
    this.#isClosed = true;
    clearInterval(this.#pruneTimer);
    this.#database.close();
  }

  #assertNew({ requestId, attempt }: NewRecord): void {
    const highest = this.#statements.highestAttempt(requestId);
    if (highest === undefined || attempt > highest) return;
    const sentence =
      attempt === highest || this.#statements.find(requestId, attempt) !== undefined
        ? `Attempt ${attempt} of request ${requestId} was started before; an attempt is started once.`
        : `Attempt ${attempt} of request ${requestId} comes after attempt ${highest}, which took its place.`;
    throw new TidarError('duplicate_attempt', sentence);
  }

  #recover(): void {
    const error = {
      code: 'backend_unavailable' as const,
      message: 'The backend stopped before the text was complete; another attempt goes on from its tokens.',
      retryable: true,
    };
    for (const id of this.#statements.orphans()) {
      const lists = this.#statements.tokensOf(id);
      const total = { tokenCounts: lists.map(({ length }) => length), tokensHash: hashTokens(lists) };
      const end = { state: 'interrupted' as const, numForwardPasses: undefined, error, ...total };
      this.#statements.close(id, end, Date.now());
    }
    for (const id of this.#statements.unforgotten()) this.#statements.forget(id);
  }

  #flush(): void {
    this.#isFlushPlanned = false;
    const entries = this.#waiting;
    if (entries.length === 0 || this.#isClosed) return;
    this.#waiting = [];
    const startedAt = performance.now();
    const failure = this.#writeAll(entries);
    this.#options.onWrite?.((performance.now() - startedAt) / 1000, entries.length);
    for (const { settled } of entries) settled(failure);
  }

  #writeAll(entries: readonly Waiting[]): TidarError | undefined {
    const nowMs = Date.now();
    try {
      this.#transact(() => {
        for (const { id, entry } of entries) this.#statements.write(id, entry, nowMs);
      });
      return undefined;
    } catch (error) {
      const internal = `the journal cannot be written: ${error instanceof Error ? error.message : String(error)}`;
      return new TidarError('internal', 'The backend could not keep what it generated.', { internal });
    }
  }

  #transact<Value>(work: () => Value): Value {
    this.#database.exec('BEGIN IMMEDIATE');
    try {
      const value = work();
      this.#database.exec('COMMIT');
      return value;
    } catch (error) {
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK');
      throw error;
    }
  }
}
