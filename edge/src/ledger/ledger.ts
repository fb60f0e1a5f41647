import { errorBody, TidarError } from '@tidar/shared/errors.ts';
import { tenantOf } from '../auth/tenant.ts';
import { edgeConfig } from '../env.ts';
import { admitNow, giveBackTokens } from './admission.ts';
import { askJournal } from './ask.ts';
import { isOutboxDue, isPruningDue } from './due.ts';
import {
  answerNews,
  appendAnswer,
  closeIdempotency,
  findIdempotent,
  forgetAnswer,
  pruneIdempotency,
} from './idempotency.ts';
import { dueQuestions, hearJournal, type JournalQuestion } from './journal.ts';
import { KeyReports } from './key-reports.ts';
import { findKey, keyEnd, verifiedKey } from './key.ts';
import { Presence } from './presence.ts';
import { pruneRequests } from './prune.ts';
import { attachReader, leaveReader, putOffQuestion, readerOf } from './readers.ts';
import { proveProgress, startRequest, takenOver } from './requests.ts';
import type { RelayedCounts } from './live.ts';
import { findRequest, isOpen } from './rows.ts';
import { settleRequest } from './settlement.ts';
import { sendUsageEvent } from './usage-events.ts';
import { raiseRequest, renewRequest } from './slices.ts';
import type {
  Admission,
  AnswerNews,
  AnswerPart,
  Attachment,
  Grant,
  Idempotency,
  NewRequest,
  Progress,
  PromptCounts,
  Refused,
  Settlement,
} from './types.ts';

/** How long a call waits for news, at most. */
const MAX_WAIT_MS = 10_000;
const NEWS_WAIT_MS = 5_000;

/**
 * The ledger of one API key: its limits and its bills. All between a check and its write is synchronous SQL in
 * one transaction, so that no two requests can pass on the same allowance.
 */
export class Ledger extends KeyReports {
  readonly #presence = new Presence(Date.now());

  /** Whether this is a secret of the key; if so, which models it may use. */
  verify(secretHash: string): Refused | { models: string[] | null } {
    const key = verifiedKey(this.sql, secretHash, Date.now());
    return key instanceof TidarError ? errorBody(key) : { models: key.settings.models };
  }

  /** Verifies the key, takes from its limits and opens the request with its hold: all or nothing. */
  async admit(request: NewRequest): Promise<Admission> {
    const nowMs = Date.now();
    const admission = this.ctx.storage.transactionSync(() => admitNow(this.sql, request, nowMs));
    if (admission.admitted) await this.armAlarm();
    this.tellUse(nowMs);
    return admission;
  }

  /** The earlier request with the same Idempotency-Key, if there is one and it was the same. */
  duplicate(secretHash: string, idempotency: Idempotency): Refused | { duplicateOf: string | null } {
    const nowMs = Date.now();
    const key = verifiedKey(this.sql, secretHash, nowMs);
    const found = key instanceof TidarError ? key : findIdempotent(this.sql, idempotency, nowMs);
    return found instanceof TidarError ? errorBody(found) : { duplicateOf: found ?? null };
  }

  /** A backend has started the attempt: what its prompt came to corrects the hold, before any token goes out. */
  async start(
    requestId: string,
    progress: Progress,
    prompt: PromptCounts,
  ): Promise<Refused | { isOpen: true }> {
    return this.#tell(requestId, (nowMs) => {
      const row = proveProgress(this.sql, requestId, progress, nowMs);
      if (row instanceof TidarError) return row;
      giveBackTokens(this.sql, startRequest(this.sql, row, prompt), nowMs);
      return { isOpen: true };
    });
  }

  /** Takes what was delivered, and gives the next end. */
  async renew(requestId: string, progress: Progress): Promise<Refused | Grant> {
    return this.#tell(requestId, (nowMs) => renewRequest(this.sql, requestId, progress, nowMs));
  }

  /** Whether this connection's attempt still counts; puts off when its journal is asked. */
  async prove(requestId: string, progress: Progress): Promise<Refused | { isOpen: true }> {
    return this.#tell(requestId, (nowMs) => {
      const row = proveProgress(this.sql, requestId, progress, nowMs);
      return row instanceof TidarError ? row : { isOpen: true };
    });
  }

  /** Begins the next attempt, at this instance. */
  async raise(requestId: string, progress: Progress, backend: string): Promise<Refused | Grant> {
    return this.#tell(requestId, (nowMs) => raiseRequest(this.sql, requestId, progress, backend, nowMs));
  }

  /** Writes a request's one bill; calling it again changes nothing. */
  async settle(requestId: string, settlement: Settlement): Promise<void> {
    this.ctx.storage.transactionSync(() => this.#settleNow(requestId, settlement, Date.now()));
    await this.armAlarm();
  }

  /** The connection that relays is gone; its request is settled from the journal after the grace. */
  async leave(requestId: string, progress: Progress, tokensHash: string | null = null): Promise<void> {
    await this.#tell(requestId, (nowMs) => {
      const proven = proveProgress(this.sql, requestId, { ...progress, graceMs: 0 }, nowMs);
      if (proven instanceof TidarError) return proven;
      leaveReader(this.sql, requestId, progress, { tokensHash, askAtMs: nowMs + progress.graceMs });
      return { isOpen: true };
    });
    this.#presence.gone(requestId);
    this.waiters.wake(requestId);
    await this.armAlarm();
  }

  /** Has the caller relay a request's answer from now on, in place of whoever did. */
  attach(secretHash: string, requestId: string, expectedReader?: number): Attachment | Refused | undefined {
    const nowMs = Date.now();
    const key = verifiedKey(this.sql, secretHash, nowMs);
    if (key instanceof TidarError) return errorBody(key);
    const { SETTLE_GRACE_MS: graceMs } = edgeConfig(this.env);
    const attached = this.ctx.storage.transactionSync(() => {
      const attachment = attachReader(this.sql, requestId, expectedReader);
      if (!(attachment instanceof TidarError)) putOffQuestion(this.sql, requestId, nowMs + graceMs);
      return attachment;
    });
    if (attached instanceof TidarError) return errorBody(attached);
    this.#presence.seen(requestId, nowMs);
    this.waiters.wake(requestId);
    return attached;
  }

  /** Whether a connection relays a request's answer now. */
  relayed(secretHash: string, requestId: string): { isRelayed: boolean } | Refused | undefined {
    const nowMs = Date.now();
    const key = verifiedKey(this.sql, secretHash, nowMs);
    if (key instanceof TidarError) return errorBody(key);
    const found = readerOf(this.sql, requestId);
    if (found === undefined) return undefined;
    const isVacant = found.hasLeft || this.#presence.isVacant(requestId, nowMs);
    return { isRelayed: isOpen(this.sql, requestId) && !isVacant };
  }

  /** Keeps a part of the answer of a request that has an Idempotency-Key, for whoever asks again. */
  keepAnswer(requestId: string, reader: number, part: AnswerPart): void {
    if (readerOf(this.sql, requestId)?.reader !== reader) return;
    this.ctx.storage.transactionSync(() => appendAnswer(this.sql, requestId, part));
    this.waiters.wake(requestId);
  }

  /** Deletes what was kept of an answer; its bill stays. */
  forgetAnswer(requestId: string): void {
    this.ctx.storage.transactionSync(() => forgetAnswer(this.sql, requestId));
  }

  /** What was kept of an answer after some of its parts; may wait a while for more of one that still runs. */
  async answer(
    secretHash: string,
    requestId: string,
    afterPart: number,
    mayWait: boolean,
  ): Promise<(AnswerNews & { reader: number }) | Refused | undefined> {
    const key = verifiedKey(this.sql, secretHash, Date.now());
    if (key instanceof TidarError) return errorBody(key);
    const found = this.#newsOf(requestId, afterPart);
    if (!mayWait || found?.state !== 'running' || found.parts.length > 0 || found.isVacant) return found;
    await this.waiters.wait(requestId, NEWS_WAIT_MS);
    return this.#newsOf(requestId, afterPart);
  }

  /**
   * Waits for what ends an answer from here: the error once its key has ended, or another connection relays it; else
   * whether it is open, to ask again. Who waits is known to be there; `relayed` is for those who look on.
   */
  async watch(
    requestId: string,
    reader: number,
    relayed?: RelayedCounts,
  ): Promise<Refused | { isOpen: boolean }> {
    const startedAtMs = Date.now();
    const before = this.#watched(requestId, reader, startedAtMs);
    if ('error' in before || !before.isOpen) return before;
    if (relayed !== undefined) this.liveCounts.tell(requestId, relayed);
    this.tellUse(startedAtMs);
    const expiresAtMs = (findKey(this.sql)?.settings.expires_at ?? Infinity) * 1000;
    const waitMs = Math.max(1, Math.min(MAX_WAIT_MS, expiresAtMs - startedAtMs));
    this.#presence.seen(requestId, startedAtMs, waitMs);
    await this.waiters.wait(requestId, waitMs);
    return this.#watched(requestId, reader, Date.now());
  }

  /** Settles from the journals what was left open, forgets what is old, tells the directory, arms the next alarm. */
  override async alarm(): Promise<void> {
    try {
      const nowMs = Date.now();
      const { REQUEST_RETENTION_DAYS: retentionDays } = edgeConfig(this.env);
      this.ctx.storage.transactionSync(() => {
        pruneIdempotency(this.sql, nowMs);
        if (isPruningDue(this.sql, nowMs)) pruneRequests(this.sql, retentionDays, nowMs);
      });
      await Promise.all(dueQuestions(this.sql, nowMs).map((question) => this.#settleFromJournal(question)));
      if (isOutboxDue(this.sql, Date.now())) await this.sendOutbox();
    } finally {
      await this.armAlarm();
    }
  }

  async #settleFromJournal(question: JournalQuestion): Promise<void> {
    const config = edgeConfig(this.env);
    const { SETTLE_GRACE_MS: graceMs, LEASE_LIFETIME_MS: lifetimeMs } = config;
    const tenant = await tenantOf(findKey(this.sql)?.keyId ?? '');
    const word = await askJournal(question, tenant, { secret: config.LEASE_SECRETS[0] ?? '', lifetimeMs });
    this.ctx.storage.transactionSync(() => {
      const nowMs = Date.now();
      const settlement = hearJournal(this.sql, question, word, { nowMs, graceMs });
      if (settlement !== undefined) this.#settleNow(question.requestId, settlement, nowMs);
    });
  }

  #settleNow(requestId: string, settlement: Settlement, nowMs: number): void {
    const before = findRequest(this.sql, requestId);
    const numFreed = settleRequest(this.sql, requestId, settlement, nowMs);
    this.liveCounts.forget(requestId);
    if (numFreed === undefined) return;
    giveBackTokens(this.sql, numFreed, nowMs);
    sendUsageEvent(this.env.USAGE_EVENTS, this.sql, findRequest(this.sql, requestId), before);
    const { finishReason, promptTokens, completionTokens } = settlement;
    const isWhole = finishReason === 'stop' || finishReason === 'length';
    // Whoever relays a whole text keeps it, or it is read from the journal.
    if (!isWhole) closeIdempotency(this.sql, requestId, promptTokens + completionTokens > 0);
    this.waiters.wake(requestId);
  }

  /** A word from a connection that relays, in one transaction; refusals are values across the object's border. */
  async #tell<Answer extends object>(
    requestId: string,
    work: (nowMs: number) => Answer | TidarError,
  ): Promise<Answer | Refused> {
    const nowMs = Date.now();
    const answer = this.ctx.storage.transactionSync(() => work(nowMs));
    if (answer instanceof TidarError) return errorBody(answer);
    this.#presence.seen(requestId, nowMs);
    return answer;
  }

  #newsOf(requestId: string, afterPart: number): (AnswerNews & { reader: number }) | undefined {
    const news = answerNews(this.sql, requestId, afterPart);
    if (news === undefined) return undefined;
    const { reader = 0, hasLeft = true } = readerOf(this.sql, requestId) ?? {};
    return { ...news, reader, isVacant: hasLeft || this.#presence.isVacant(requestId, Date.now()) };
  }

  #watched(requestId: string, reader: number, nowMs: number): Refused | { isOpen: boolean } {
    const key = findKey(this.sql);
    const end = key && keyEnd(key, nowMs);
    if (end !== undefined) return errorBody(end);
    if (readerOf(this.sql, requestId)?.reader !== reader) return errorBody(takenOver());
    const open = isOpen(this.sql, requestId);
    if (!open) this.#presence.seen(requestId, nowMs);
    return { isOpen: open };
  }
}
