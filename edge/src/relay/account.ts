import { TidarError } from '@tidar/shared/errors.ts';
import { accepted, isRefused, type LedgerStub } from '../ledger/client.ts';
import type { BillReason, Grant, Progress } from '../ledger/types.ts';
import type { Log } from '../log.ts';
import type { Tally } from './tally.ts';

const SETTLE_TRIES = 4;
const RETRY_MS = 200;
const WATCH_RETRY_MS = 1_000;
/** Most answers have begun by then, and many have ended: the ledger's word is not asked in the way of a first token. */
const WATCH_DELAY_MS = 250;

export interface AccountOptions {
  ledger: LedgerStub;
  requestId: string;
  /** The number of this connection. */
  reader: number;
  grant: Grant;
  /** Of each choice. */
  maxTokens: number;
  contextLength: number;
  sliceTokens: number;
  /** How long the ledger waits for the next word. */
  graceMs: number;
  /** The same once the client has left. */
  leaveGraceMs: number;
  /** The bill is written: the answer is only read once more. */
  isBilled: boolean;
  log: Log;
}

/** What one connection tells the ledger of the answer that it relays, and what the ledger grants it. */
export class Account {
  readonly #options: AccountOptions;
  readonly #tally: Tally;
  #grant: Grant;
  #isClosed: boolean;
  #outcome: BillReason | 'left' | 'taken_over' | undefined;

  constructor(options: AccountOptions, tally: Tally) {
    this.#options = options;
    this.#tally = tally;
    this.#grant = options.grant;
    this.#isClosed = options.isBilled;
  }

  get requestId(): string {
    return this.#options.requestId;
  }

  get attempt(): number {
    return this.#grant.attempt;
  }

  get endToken(): number {
    return this.#grant.endToken;
  }

  /** The bill is written or left to the ledger: nothing of this connection counts any more. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** What ended the relaying; undefined: nothing has, or it was a bill's second reading. */
  get outcome(): BillReason | 'left' | 'taken_over' | undefined {
    return this.#outcome;
  }

  /**
   * Of a choice no more tokens are believed than were asked for, nor more than a slice beyond the last end that is known
   * here: a renewal's own answer may come after its first tokens.
   */
  get mostTokens(): number {
    const { maxTokens, contextLength, sliceTokens } = this.#options;
    const most = Math.min(maxTokens, contextLength);
    return this.#isClosed ? most : Math.min(most, this.endToken + sliceTokens);
  }

  /** Half of the slice is used, and there is more to have. */
  get wantsMore(): boolean {
    if (this.#isClosed) return false;
    const { maxTokens, contextLength, sliceTokens } = this.#options;
    const limit = Math.min(maxTokens, contextLength - this.#tally.prompt.promptTokens);
    return this.endToken < limit && Math.max(...this.#tally.numTokens) >= this.endToken - sliceTokens / 2;
  }

  /** The prompt's true count, before any token of the answer goes out. */
  async start(): Promise<void> {
    if (this.#isClosed) return;
    const { ledger, requestId } = this.#options;
    accepted(await ledger.start(requestId, this.#progress(), this.#tally.prompt));
  }

  /** Refuses where this connection has been taken over or its request is closed; else it has time for a failover. */
  async prove(): Promise<void> {
    if (this.#isClosed) return;
    accepted(await this.#options.ledger.prove(this.requestId, this.#progress()));
  }

  /** The next end by the ledger; `accept` writes it down once the backend has it. */
  async renew(): Promise<Grant> {
    return accepted(await this.#options.ledger.renew(this.requestId, this.#progress()));
  }

  accept(grant: Grant): void {
    if (grant.attempt === this.attempt && grant.endToken > this.endToken) this.#grant = grant;
  }

  /** The next attempt, at this instance. */
  async raise(backend: string): Promise<Grant> {
    if (this.#isClosed) throw new TidarError('conflict', 'This request is closed: it has its bill.');
    this.#grant = accepted(await this.#options.ledger.raise(this.requestId, this.#progress(), backend));
    return this.#grant;
  }

  /** Writes the bill of a whole text. It never throws: the ledger's alarm is the second net. */
  async settle(): Promise<void> {
    await this.#settle(this.#tally.reason, {});
  }

  /** Writes the bill of what was relayed: of a text that was cut from here, or by a backend that nobody believes. */
  async settleRelayed(finishReason: BillReason, estimated: boolean): Promise<void> {
    await this.#settle(finishReason, { reader: this.#options.reader, estimated });
  }

  /** Leaves the bill to the ledger: it asks the journal, at once or after the backend's grace. */
  async leave(graceMs = this.#options.leaveGraceMs): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#outcome = 'left';
    const { ledger, requestId } = this.#options;
    const tokensHash = this.#tally.hasStarted ? await this.#tally.hash() : null;
    await this.#persist('leave', () => ledger.leave(requestId, { ...this.#progress(), graceMs }, tokensHash));
  }

  /** Nothing is left to tell: another connection does. */
  forget(): void {
    this.#isClosed = true;
    this.#outcome = 'taken_over';
  }

  /** Ends the relaying with the ledger's word for it at the moment when its key ends, or another takes over. */
  async watch(controller: AbortController): Promise<void> {
    const { ledger, requestId, reader } = this.#options;
    await new Promise((resolve) => setTimeout(resolve, WATCH_DELAY_MS));
    while (!controller.signal.aborted) {
      try {
        const { numForwardPasses } = this.#tally.counts();
        const relayed = { numTokens: this.#tally.numTokens, numForwardPasses };
        const state = await ledger.watch(requestId, reader, relayed);
        if (isRefused(state)) return controller.abort(TidarError.from(state.error));
        if (!state.isOpen) return;
      } catch {
        // The ledger has moved or restarted: whoever waited there asks again.
        await new Promise((resolve) => setTimeout(resolve, WATCH_RETRY_MS));
      }
    }
  }

  #progress(): Progress {
    const { reader, graceMs } = this.#options;
    const { numForwardPasses } = this.#tally.counts();
    return { attempt: this.attempt, reader, delivered: this.#tally.numTokens, numForwardPasses, graceMs };
  }

  async #settle(finishReason: BillReason, how: { reader?: number; estimated?: boolean }): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#outcome = finishReason;
    const tokensHash = this.#tally.hasStarted ? await this.#tally.hash() : null;
    const bill = { ...this.#tally.counts(), finishReason, tokensHash, estimated: false, ...how };
    const { attempt, requestId } = this;
    await this.#persist('settle', () => this.#options.ledger.settle(requestId, { ...bill, attempt }));
  }

  async #persist(action: string, tell: () => Promise<void>): Promise<void> {
    for (let tryIndex = 1; ; tryIndex += 1) {
      try {
        return await tell();
      } catch (error) {
        if (tryIndex === SETTLE_TRIES) {
          return this.#options.log('error', 'ledger_failed', { action, reason: String(error) });
        }
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS * tryIndex));
      }
    }
  }
}
