import { DurableObject } from 'cloudflare:workers';
import { errorBody, TidarError } from '@tidar/shared/errors.ts';
import { type BackupPage, type BackupRow, dumpPage } from '../backup.ts';
import { directoryOf } from '../directory/client.ts';
import type { Bindings } from '../env.ts';
import { migrate } from '../migrate.ts';
import { admitNow, giveBackTokens } from './admission.ts';
import { LEDGER_TABLES } from './backup.ts';
import { budgetState } from './budget.ts';
import { isOutboxDue, nextDueMs } from './due.ts';
import {
  closeIdempotency,
  findAnswer,
  findIdempotent,
  pruneIdempotency,
  storeAnswer,
} from './idempotency.ts';
import { findKey, keyRevoked, verifiedKey } from './key.ts';
import { creation, type KeyChange, restoration, revocation, rotation, update } from './management.ts';
import { confirmBatch, delayOutbox, nextBatch, viewOf } from './outbox.ts';
import {
  dueRequests,
  findRequest,
  isOpen,
  recentRequests,
  reportRequest,
  settleRequest,
} from './requests.ts';
import { MIGRATIONS } from './schema.ts';
import type { SettingsChange } from './settings.ts';
import { dailyTotals } from './totals.ts';
import type {
  Admission,
  Idempotency,
  KeyAnswer,
  KeyView,
  NewKey,
  NewRequest,
  Refused,
  Report,
  RequestRecord,
  Settlement,
  StoredAnswer,
  UsageFilter,
  UsageReport,
} from './types.ts';
import { EVERYTHING, sumUsage } from './usage.ts';
import { Waiters } from './waiters.ts';

const MAX_WAIT_MS = 20_000;

/**
 * The ledger of one API key: its limits and its bills. All between a check and its write is synchronous SQL in
 * one transaction, so that no two requests can pass on the same allowance.
 */
export class Ledger extends DurableObject<Bindings> {
  readonly #sql: SqlStorage;
  readonly #waiters = new Waiters();

  constructor(ctx: DurableObjectState, env: Bindings) {
    super(ctx, env);
    this.#sql = ctx.storage.sql;
    void ctx.blockConcurrencyWhile(async () => {
      ctx.storage.transactionSync(() => migrate(this.#sql, MIGRATIONS));
      await this.#armAlarm();
    });
  }

  /** Writes the key that this ledger is for. */
  create(key: NewKey, actor: string): Promise<KeyAnswer> {
    return this.#change(creation(key), actor);
  }

  /** Changes some settings; undefined if there is no such key, as with all that manages keys. */
  async update(change: SettingsChange, actor: string): Promise<KeyAnswer | undefined> {
    return this.view() && this.#change(update(change), actor);
  }

  /** Gives the key another secret; the old ones end after the grace. */
  async rotate(secretHash: string, graceMs: number, actor: string): Promise<KeyAnswer | undefined> {
    return this.view() && this.#change(rotation(secretHash, graceMs), actor);
  }

  /** Ends the key for good, and every open request of it. */
  async revoke(actor: string): Promise<KeyAnswer | undefined> {
    return this.view() && this.#change(revocation, actor);
  }

  /** The key as the admin sees it. */
  view(): KeyView | undefined {
    const key = findKey(this.#sql);
    return key && viewOf(key);
  }

  /** Whether this is a secret of the key; if so, which models it may use. */
  verify(secretHash: string): Refused | { models: string[] | null } {
    const key = verifiedKey(this.#sql, secretHash, Date.now());
    return key instanceof TidarError ? errorBody(key) : { models: key.settings.models };
  }

  /** Verifies the key, takes from its limits and opens the request with its hold: all or nothing. */
  async admit(request: NewRequest): Promise<Admission> {
    const nowMs = Date.now();
    const admission = this.ctx.storage.transactionSync(() => admitNow(this.#sql, request, nowMs));
    if (admission.admitted) await this.#armAlarm();
    return admission;
  }

  /** The earlier request with the same Idempotency-Key, if there is one and it was the same. */
  duplicate(secretHash: string, idempotency: Idempotency): Refused | { duplicateOf: string | null } {
    const nowMs = Date.now();
    const key = verifiedKey(this.#sql, secretHash, nowMs);
    const found = key instanceof TidarError ? key : findIdempotent(this.#sql, idempotency, nowMs);
    return found instanceof TidarError ? errorBody(found) : { duplicateOf: found ?? null };
  }

  /** Raises what is proven of an open request, and lowers its hold. */
  report(requestId: string, report: Report): void {
    const nowMs = Date.now();
    this.ctx.storage.transactionSync(() => {
      giveBackTokens(this.#sql, reportRequest(this.#sql, requestId, report, nowMs), nowMs);
    });
  }

  /** Writes a request's one bill; calling it again changes nothing. */
  async settle(requestId: string, settlement: Settlement): Promise<void> {
    this.ctx.storage.transactionSync(() => this.#settleNow(requestId, settlement, Date.now()));
    await this.#armAlarm();
  }

  /** Keeps the answer of a request that has an Idempotency-Key, for whoever asks again. */
  keepAnswer(requestId: string, contentType: string, text: string): void {
    this.ctx.storage.transactionSync(() => storeAnswer(this.#sql, requestId, contentType, text));
    this.#waiters.wake(requestId);
  }

  /** The answer that was kept for a request; waits a while for one that still runs. */
  async answer(secretHash: string, requestId: string): Promise<StoredAnswer | Refused | undefined> {
    const key = verifiedKey(this.#sql, secretHash, Date.now());
    if (key instanceof TidarError) return errorBody(key);
    const found = findAnswer(this.#sql, requestId, Date.now());
    if (found?.state !== 'running') return found;
    await this.#waiters.wait(requestId, MAX_WAIT_MS);
    return findAnswer(this.#sql, requestId, Date.now());
  }

  /** Waits for what ends a request from here: the error once its key is revoked; undefined to ask again, if it is open. */
  async watch(requestId: string): Promise<Refused | { isOpen: boolean }> {
    const isRevoked = (): boolean => findKey(this.#sql)?.revokedAtMs != null;
    if (!isRevoked() && isOpen(this.#sql, requestId)) await this.#waiters.wait(requestId, MAX_WAIT_MS);
    return isRevoked() ? errorBody(keyRevoked()) : { isOpen: isOpen(this.#sql, requestId) };
  }

  /** What the key has used. */
  usage(secretHash: string, numRequests: number, filter: UsageFilter = EVERYTHING): UsageReport | Refused {
    const nowMs = Date.now();
    const key = verifiedKey(this.#sql, secretHash, nowMs);
    if (key instanceof TidarError) return errorBody(key);
    const days = dailyTotals(this.#sql, filter);
    const budget = budgetState(this.#sql, key.settings, nowMs);
    return {
      object: 'usage',
      key: viewOf(key),
      total: sumUsage(days),
      held_tokens: budget.held_tokens,
      budget,
      days,
      requests: recentRequests(this.#sql, numRequests, filter),
    };
  }

  /** One request of the key. */
  request(secretHash: string, requestId: string): { request: RequestRecord } | Refused | undefined {
    const key = verifiedKey(this.#sql, secretHash, Date.now());
    if (key instanceof TidarError) return errorBody(key);
    const request = findRequest(this.#sql, requestId);
    return request && { request };
  }

  exportPage(after: string): BackupPage {
    return dumpPage(this.#sql, MIGRATIONS.length, LEDGER_TABLES, after);
  }

  /** Reads a page of a backup back; the last one has the key. */
  async importRows(
    version: number,
    rows: BackupRow[],
    actor: string,
  ): Promise<Refused | { numRows: number }> {
    const answer = await this.#change(restoration(rows, version, MIGRATIONS.length), actor);
    return 'error' in answer ? answer : { numRows: rows.length };
  }

  /** Settles what was left open, forgets what is old, tells the directory, then waits for the next that is due. */
  override async alarm(): Promise<void> {
    try {
      const nowMs = Date.now();
      this.ctx.storage.transactionSync(() => {
        for (const { requestId, settlement } of dueRequests(this.#sql, nowMs)) {
          this.#settleNow(requestId, settlement, nowMs);
        }
        pruneIdempotency(this.#sql, nowMs);
      });
      if (isOutboxDue(this.#sql, nowMs)) await this.#sendOutbox();
    } finally {
      await this.#armAlarm();
    }
  }

  #settleNow(requestId: string, settlement: Settlement, nowMs: number): void {
    giveBackTokens(this.#sql, settleRequest(this.#sql, requestId, settlement, nowMs), nowMs);
    const { estimated, finishReason } = settlement;
    if (estimated || finishReason === 'error') closeIdempotency(this.#sql, requestId, estimated);
    this.#waiters.wake(requestId);
  }

  /** Makes a change and tells the directory at once; should that fail, the alarm does it. */
  async #change(change: KeyChange, actor: string): Promise<KeyAnswer> {
    try {
      this.ctx.storage.transactionSync(() => change(this.#sql, actor, Date.now()));
    } catch (error) {
      if (error instanceof TidarError) return errorBody(error);
      throw error;
    }
    this.#waiters.wakeAll();
    await this.#armAlarm();
    await this.#sendOutbox();
    return { key: this.view() };
  }

  async #sendOutbox(): Promise<void> {
    try {
      for (let batch = nextBatch(this.#sql); batch !== undefined; batch = nextBatch(this.#sql)) {
        const sent = batch;
        await directoryOf(this.env).receive(sent);
        this.ctx.storage.transactionSync(() => confirmBatch(this.#sql, sent));
      }
    } catch (error) {
      console.error(JSON.stringify({ event: 'outbox_failed', reason: String(error) }));
      delayOutbox(this.#sql, Date.now());
    }
  }

  /** While anything is due an alarm is set, no later than that. */
  async #armAlarm(): Promise<void> {
    const dueMs = nextDueMs(this.#sql);
    if (dueMs === undefined) return;
    const armedMs = await this.ctx.storage.getAlarm();
    if (armedMs === null || armedMs > dueMs) await this.ctx.storage.setAlarm(dueMs);
  }
}
