import { TidarError } from '@tidar/shared/errors.ts';
import type {
  EndEvent,
  FinishEvent,
  GenerateRequest,
  StartEvent,
  StepEvent,
} from '@tidar/shared/protocol.ts';
import type { Account } from './account.ts';
import { CLIENT_LEFT, isForAnother, ProtocolBreach, publicError, Unreachable } from './failures.ts';
import { Failover, type FailoverHost } from './failover.ts';
import type { Route } from './fleet.ts';
import { type AskedFor, Instance, type LeaseSettings } from './instance.ts';
import type { Pool } from './pool.ts';
import { advance, encodePosition, Overlap, type Position } from './position.ts';
import { Renewal } from './renewal.ts';
import type { Tally } from './tally.ts';
import type { Timeouts, Upstream } from './upstream.ts';

/** However late it is, who is asked gets so long for an answer. */
const LEAST_START_MS = 1_000;

export interface RelayOptions {
  account: Account;
  tally: Tally;
  identity: AskedFor;
  /** What was asked for; undefined where only a journal knows it, and it cannot be asked. */
  request: GenerateRequest | undefined;
  /** Who shares a prefix. */
  prefixKey: string;
  pool: Pool;
  contextLength: number;
  leases: LeaseSettings;
  timeouts: Timeouts;
  failoverMs: number;
  /** Where the client is when the relaying begins. */
  position: Position;
}

export interface Relayed {
  event: StepEvent | FinishEvent | EndEvent;
  /** How far the client has the answer once it has the event. */
  id: string;
}
export type RelayedEvents = AsyncGenerator<Relayed, void, void>;

/** The stream that is read now, and where from. */
interface Source {
  instance: Instance;
  upstream: Upstream;
  /** What the client has of it already. */
  overlap: Overlap;
  release: () => void;
}

/**
 * One client's answer: read from one backend after the other as long as any can go on with it, each token counted
 * before it is handed on, its bill written or left to the ledger however it ends.
 */
export class Relay implements FailoverHost {
  readonly options: RelayOptions;
  readonly controller = new AbortController();
  /** Resolves when the bill is written or left to the ledger. */
  readonly settled: Promise<void>;
  readonly events: RelayedEvents;
  readonly #resolveSettled: () => void;
  readonly #renewal: Renewal;
  #source: Source | undefined;
  #position: Position;
  #start: StartEvent | undefined;

  constructor(options: RelayOptions) {
    this.options = options;
    this.#position = options.position;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.settled = promise;
    this.#resolveSettled = resolve;
    this.#renewal = new Renewal(options.account, this.controller.signal);
    this.events = this.#read();
    void options.account.watch(this.controller);
  }

  /** What the first backend said of the prompt. */
  get start(): StartEvent {
    if (this.#start === undefined) throw new Error('nothing has begun yet');
    return this.#start;
  }

  get position(): Position {
    return this.#position;
  }

  /** Starts a request at the first of its routes that takes it. What nobody takes costs nothing. */
  async begin(routes: readonly Route[]): Promise<void> {
    const { account, timeouts } = this.options;
    const deadlineMs = Date.now() + timeouts.startMs;
    try {
      for (const [index, { backend }] of routes.entries()) {
        const isLast = index === routes.length - 1 || Date.now() >= deadlineMs;
        try {
          if (index > 0) await account.raise(backend.url);
          return await this.generateAt(backend.url, this.#request(), deadlineMs);
        } catch (error) {
          if (this.controller.signal.aborted || !isForAnother(error)) throw error;
          // Who had taken it and died before its first word may be back soon; who refuses it is believed.
          if (isLast && error instanceof Unreachable && error.hadTaken)
            return await this.#failOver(error, backend.url);
          if (isLast) throw error;
        }
      }
      throw new Unreachable('no backend is left to ask');
    } catch (error) {
      await account.settleRelayed('error', false);
      this.end();
      throw publicError(error);
    }
  }

  async #failOver(cause: unknown, url: string): Promise<void> {
    await new Failover(this, cause).run(url);
  }

  /** Takes over an attempt that a backend has. */
  async attach(url: string): Promise<void> {
    try {
      try {
        await this.readAt(url, Date.now() + this.options.timeouts.startMs);
      } catch (error) {
        if (!isForAnother(error)) throw error;
        await this.#failOver(error, url);
      }
    } catch (error) {
      await this.#close(error);
      this.end();
      throw publicError(error);
    }
  }

  /** Starts the present attempt there, if it begins before the deadline. */
  async generateAt(
    url: string,
    request: GenerateRequest,
    deadlineMs: number,
    overlap = this.#overlap(),
  ): Promise<void> {
    const { account } = this.options;
    const instance = this.#instanceAt(url, deadlineMs);
    await this.#use(instance, overlap, (signal) => instance.generate(request, account.endToken, signal));
    await account.start();
  }

  /** Reads on the present attempt there, likewise. */
  async readAt(url: string, deadlineMs: number): Promise<void> {
    const { account, tally } = this.options;
    const instance = this.#instanceAt(url, deadlineMs);
    await this.#use(instance, this.#overlap(), (signal) => instance.read(tally.numTokens, signal));
    // Whoever started it may have died before the ledger heard of it.
    await account.start();
  }

  /** The client has gone: ends the relaying, and leaves the bill to the ledger. */
  async leave(): Promise<void> {
    this.controller.abort(CLIENT_LEFT);
    await this.events.return();
    // A generator that never began runs no `finally`.
    await this.options.account.leave();
    this.end();
  }

  end(): void {
    this.controller.abort(CLIENT_LEFT);
    this.#source?.release();
    this.#resolveSettled();
  }

  /** What a stream after the client's last token repeats. */
  #overlap(): Overlap {
    const { characters } = this.#position;
    return new Overlap({ tokens: characters.map(() => 0), characters });
  }

  #instanceAt(url: string, deadlineMs: number): Instance {
    const { identity, account, leases, timeouts } = this.options;
    const startMs = Math.max(LEAST_START_MS, Math.min(timeouts.startMs, deadlineMs - Date.now()));
    return new Instance(url, identity, account.attempt, { leases, timeouts: { ...timeouts, startMs } });
  }

  #request(): GenerateRequest {
    const { request } = this.options;
    if (request === undefined) throw new Unreachable('nobody knows the request');
    return request;
  }

  async #use(
    instance: Instance,
    overlap: Overlap,
    open: (signal: AbortSignal) => Promise<Upstream>,
  ): Promise<void> {
    const { pool, tally } = this.options;
    const release = pool.begin(instance.url);
    try {
      const upstream = await open(this.controller.signal);
      const { num_prompt_tokens: numPrompt } = upstream.start;
      if (numPrompt > this.options.contextLength) throw new ProtocolBreach(`a prompt of ${numPrompt} tokens`);
      pool.succeeded(instance.url);
      tally.start(upstream.start);
      this.#start ??= upstream.start;
      this.#source?.release();
      this.#source = { instance, upstream, overlap, release };
    } catch (error) {
      release();
      pool.failed(instance.url, error);
      throw error;
    }
  }

  async *#read(): RelayedEvents {
    try {
      yield* this.#relay();
    } catch (error) {
      await this.#close(error);
      throw publicError(error);
    } finally {
      // Still open here only if the reader stopped reading.
      await this.options.account.leave();
      this.end();
    }
  }

  async *#relay(): RelayedEvents {
    for (let failover: Failover | undefined; ;) {
      const source = this.#source;
      if (source === undefined) throw new Error('nothing has begun yet');
      try {
        for await (const event of source.upstream.events) {
          const relayed = this.#take(event, source);
          // Who sees the end finds the bill in the ledger.
          if (event.type === 'end') await this.options.account.settle();
          if (relayed !== undefined) yield { event: relayed, id: encodePosition(this.#position) };
          if (event.type === 'end') return;
        }
        throw new Unreachable('the stream broke off without end or error');
      } catch (error) {
        if (this.controller.signal.aborted || !isForAnother(error)) throw this.#causeOf(error);
        this.options.pool.failed(source.instance.url, error);
        failover = new Failover(this, error, failover);
        const end = await failover.run(source.instance.url);
        if (end === undefined) continue;
        await this.options.account.settle();
        yield { event: end, id: encodePosition(this.#position) };
        return;
      }
    }
  }

  #take(
    event: StepEvent | FinishEvent | EndEvent,
    { instance, overlap }: Source,
  ): Relayed['event'] | undefined {
    const { account, tally } = this.options;
    if (event.type === 'end') {
      tally.end(event);
      return { type: 'end', usage: tally.usage() };
    }
    if (event.type === 'finish') return tally.finish(event) ? event : undefined;
    const step = overlap.rest(event);
    if (step === undefined) return undefined;
    tally.step(step);
    const numTokens = tally.numTokens[step.choice] ?? 0;
    if (numTokens > account.mostTokens)
      throw new ProtocolBreach(`${numTokens} tokens, more than were granted`);
    this.#position = advance(this.#position, step);
    if (account.wantsMore) this.#renewal.ask(instance);
    return step;
  }

  #causeOf(error: unknown): unknown {
    const { signal } = this.controller;
    return signal.aborted ? signal.reason : error;
  }

  /** Whose the bill is, by what ended the relaying. */
  async #close(thrown: unknown): Promise<void> {
    const { account, tally } = this.options;
    const error = this.#causeOf(thrown);
    if (error instanceof ProtocolBreach) return account.settleRelayed('error', tally.hasStarted);
    const code = error instanceof TidarError ? error.code : undefined;
    if (code === 'key_revoked') return account.settleRelayed('revoked', false);
    if (code === 'key_expired') return account.settleRelayed('expired', false);
    if (code === 'stream_taken_over' || code === 'attempt_superseded') return account.forget();
    // The backend has closed it: its journal can be asked at once.
    if (code !== undefined && code !== 'cancelled' && !isForAnother(error)) return account.leave(0);
    return account.leave();
  }
}
