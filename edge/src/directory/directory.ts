import { DurableObject } from 'cloudflare:workers';
import { errorBody, TidarError } from '@tidar/shared/errors.ts';
import { type BackupPage, type BackupRow, checkVersion, dumpPage, loadRows } from '../backup.ts';
import type { Bindings } from '../env.ts';
import type { KeyView, Refused } from '../ledger/types.ts';
import { migrate } from '../migrate.ts';
import {
  findKeyView,
  type KeyUsage,
  listAudit,
  listKeys,
  listTotals,
  listUsedKeys,
  receiveBatch,
  recordAudit,
  recordUse,
  type UsageQuery,
} from './records.ts';
import { MIGRATIONS } from './schema.ts';
import { actorOf, findToken, insertToken, listTokens, type NewToken, revokeToken } from './tokens.ts';
import type { Actor, AuditEntry, Batch, TokenView } from './types.ts';

const BACKUP_TABLES = ['tokens', 'audit'];

/**
 * Which keys there are, who changed what, and what was used each day: told by the ledgers, which know it first, since
 * Durable Objects cannot be listed. It also keeps the tokens of the admin API.
 */
export class Directory extends DurableObject<Bindings> {
  readonly #sql: SqlStorage;

  constructor(ctx: DurableObjectState, env: Bindings) {
    super(ctx, env);
    this.#sql = ctx.storage.sql;
    void ctx.blockConcurrencyWhile(async () => {
      ctx.storage.transactionSync(() => migrate(this.#sql, MIGRATIONS));
    });
  }

  /** Takes a ledger's news; hearing them twice, or old ones late, changes nothing. */
  receive(batch: Batch): void {
    this.ctx.storage.transactionSync(() => receiveBatch(this.#sql, batch));
  }

  keys(afterId: string, limit: number): KeyView[] {
    return listKeys(this.#sql, afterId, limit);
  }

  key(keyId: string): KeyView | undefined {
    return findKeyView(this.#sql, keyId);
  }

  totals(query: UsageQuery): KeyUsage[] {
    return listTotals(this.#sql, query);
  }

  audit(beforeId: number, limit: number): AuditEntry[] {
    return listAudit(this.#sql, beforeId, limit);
  }

  /** A key is in use: its ledger says so about once a minute. */
  used(keyId: string, atMs: number): void {
    recordUse(this.#sql, keyId, atMs);
  }

  /** The keys that were used since then, the last first. */
  usedKeys(sinceMs: number, limit: number): string[] {
    return listUsedKeys(this.#sql, sinceMs, limit);
  }

  /** A page of what no ledger knows; keys and totals come back with their ledgers. */
  exportPage(after: string, actor: string): BackupPage {
    const nowMs = Date.now();
    if (after === '')
      recordAudit(this.#sql, { actor, action: 'export', subject: 'directory', detail: {} }, nowMs);
    return dumpPage(this.#sql, MIGRATIONS.length, BACKUP_TABLES, after);
  }

  /** Reads a backup's rows back; what differs from what is here already is refused. */
  importRows(version: number, rows: BackupRow[]): Refused | { numRows: number } {
    try {
      checkVersion(version, MIGRATIONS.length);
      this.ctx.storage.transactionSync(() => loadRows(this.#sql, BACKUP_TABLES, rows));
      return { numRows: rows.length };
    } catch (error) {
      if (error instanceof TidarError) return errorBody(error);
      const message = 'The directory is not empty: it has another entry under the same id.';
      return errorBody(new TidarError('conflict', message, { internal: String(error) }));
    }
  }

  /** Who holds an admin token. */
  actor(id: string, hash: string): Actor | undefined {
    return actorOf(this.#sql, id, hash, Date.now());
  }

  createToken(token: NewToken, actor: string): TokenView {
    const nowMs = Date.now();
    this.ctx.storage.transactionSync(() => {
      insertToken(this.#sql, token, nowMs);
      const detail = { name: token.name, scopes: token.scopes, expires_at: token.expiresAt };
      recordAudit(this.#sql, { actor, action: 'token.create', subject: token.id, detail }, nowMs);
    });
    const made = findToken(this.#sql, token.id);
    if (made === undefined) throw new Error('the token was not written');
    return made;
  }

  tokens(): TokenView[] {
    return listTokens(this.#sql);
  }

  revokeToken(id: string, actor: string): TokenView | undefined {
    const nowMs = Date.now();
    this.ctx.storage.transactionSync(() => {
      if (!revokeToken(this.#sql, id, nowMs)) return;
      recordAudit(this.#sql, { actor, action: 'token.revoke', subject: id, detail: {} }, nowMs);
    });
    return findToken(this.#sql, id);
  }
}
