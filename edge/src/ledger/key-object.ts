import { DurableObject } from 'cloudflare:workers';
import { errorBody, TidarError } from '@tidar/shared/errors.ts';
import { type BackupPage, type BackupRow, dumpPage } from '../backup.ts';
import { directoryOf } from '../directory/client.ts';
import type { Bindings } from '../env.ts';
import { logWith } from '../log.ts';
import { migrate } from '../migrate.ts';
import { LEDGER_TABLES } from './backup.ts';
import { nextDueMs } from './due.ts';
import { findKey } from './key.ts';
import { creation, type KeyChange, restoration, revocation, rotation, update } from './management.ts';
import { confirmBatch, delayOutbox, nextBatch, viewOf } from './outbox.ts';
import { MIGRATIONS } from './schema.ts';
import type { SettingsChange } from './settings.ts';
import type { KeyAnswer, KeyView, NewKey, Refused } from './types.ts';
import { Waiters } from './waiters.ts';

/** How often the directory hears that a key is used, at most. */
const USE_EVERY_MS = 60_000;

/** What a ledger does for its key itself: its changes, its backup, and that the directory hears of them. */
export abstract class KeyObject extends DurableObject<Bindings> {
  protected readonly sql: SqlStorage;
  protected readonly waiters = new Waiters();
  #toldUseAtMs = -Infinity;

  constructor(ctx: DurableObjectState, env: Bindings) {
    super(ctx, env);
    this.sql = ctx.storage.sql;
    void ctx.blockConcurrencyWhile(async () => {
      ctx.storage.transactionSync(() => migrate(this.sql, MIGRATIONS));
      await this.armAlarm();
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
    const key = findKey(this.sql);
    return key && viewOf(key);
  }

  exportPage(after: string): BackupPage {
    return dumpPage(this.sql, MIGRATIONS.length, LEDGER_TABLES, after);
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

  /** Makes a change and tells the directory at once; should that fail, the alarm does it. */
  async #change(change: KeyChange, actor: string): Promise<KeyAnswer> {
    try {
      this.ctx.storage.transactionSync(() => change(this.sql, actor, Date.now()));
    } catch (error) {
      if (error instanceof TidarError) return errorBody(error);
      throw error;
    }
    this.waiters.wakeAll();
    await this.armAlarm();
    await this.sendOutbox();
    return { key: this.view() };
  }

  protected async sendOutbox(): Promise<void> {
    try {
      for (let batch = nextBatch(this.sql); batch !== undefined; batch = nextBatch(this.sql)) {
        const sent = batch;
        await directoryOf(this.env).receive(sent);
        this.ctx.storage.transactionSync(() => confirmBatch(this.sql, sent));
      }
    } catch (error) {
      logWith({})('error', 'outbox_failed', { reason: String(error) });
      delayOutbox(this.sql, Date.now());
    }
  }

  /** Tells the directory that the key is used, now and then: that is how it knows whom to ask what runs. */
  protected tellUse(nowMs: number): void {
    const keyId = nowMs - this.#toldUseAtMs < USE_EVERY_MS ? undefined : findKey(this.sql)?.keyId;
    if (keyId === undefined) return;
    this.#toldUseAtMs = nowMs;
    const told = directoryOf(this.env).used(keyId, nowMs);
    this.ctx.waitUntil(
      told.catch((error: unknown) => {
        this.#toldUseAtMs = -Infinity;
        console.error(JSON.stringify({ event: 'use_untold', reason: String(error) }));
      }),
    );
  }

  /** While anything is due an alarm is set, no later than that. */
  protected async armAlarm(): Promise<void> {
    const dueMs = nextDueMs(this.sql);
    if (dueMs === undefined) return;
    const armedMs = await this.ctx.storage.getAlarm();
    if (armedMs === null || armedMs > dueMs) await this.ctx.storage.setAlarm(dueMs);
  }
}
