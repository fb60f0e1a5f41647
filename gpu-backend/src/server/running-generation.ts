import { TidarError } from '@tidar/shared/errors.ts';
import type { LeasePayload } from '@tidar/shared/lease.ts';
import { CREDIT_WINDOW } from './engine-client.ts';
import type { EngineListener, EngineTicket } from './engine-client.ts';
import type { EngineEvent } from './engine-messages.ts';
import { EventChannel } from './event-channel.ts';
import type { Generation, Told } from './generation.ts';
import type { Journal } from './journal/journal.ts';

const MAX_TIMER_MS = 2 ** 31 - 1;

export interface RunningOptions {
  /** Its place in the journal. */
  readonly id: number;
  readonly numSteps: number;
  readonly generation: Generation;
  readonly journal: Journal;
  readonly lease: LeasePayload;
  /** How long it goes on without a reader. */
  readonly clientGraceMs: number;
  /** How long it waits at the end of a slice. */
  readonly sliceWaitMs: number;
  /** Whether others wait for a place in the engine. */
  readonly isCrowded: () => boolean;
  /** Its closing event is in the journal. */
  readonly onClosed: () => void;
}

/** A reader's live end: events after those that the journal had when it came. */
export interface LiveEvents {
  /** Steps that the journal had then. */
  readonly numSteps: number;
  /**
   * The next event; undefined where he fell behind, and is to rejoin. Throws where another reader took over, or this one
   * has left.
   */
  next(): Promise<Told | undefined>;
  /** The same reader from here on; throws where another took over. */
  rejoin(): LiveEvents;
  /** The reader will take no more. */
  leave(): void;
}

/**
 * A generation between the engine and its reader, if it has one. Whatever happens is written to the journal first and
 * told then. A slow reader holds back the engine's credits, unless others wait for a place: then it goes on without him,
 * and he catches up from the journal. One who has gone does not hold it back, until his grace is over. One who comes
 * later reads the journal, then what comes live.
 */
export class RunningGeneration implements EngineListener {
  readonly attempt: number;
  readonly id: number;
  readonly #options: RunningOptions;
  readonly #numChoices: number;
  /** Undefined for as long as the engine has not taken it. */
  ticket: EngineTicket | undefined;
  #channel: EventChannel<Told> | undefined;
  #endToken: number;
  #expiresAtMs: number;
  /** That are in the journal. */
  #numSteps: number;
  #numCreditsToReturn = 0;
  /** Its closing event is on its way to the journal. */
  #isClosing = false;
  #isClosed = false;
  readonly #grace = new Timer();
  readonly #sliceWait = new Timer();
  readonly #expiry = new Timer();

  constructor(options: RunningOptions) {
    const { id, numSteps, lease } = options;
    this.#options = options;
    this.id = id;
    this.attempt = lease.attempt;
    this.#numChoices = lease.choices;
    this.#numSteps = numSteps;
    this.#endToken = lease.end_token;
    this.#expiresAtMs = lease.expires_at_ms;
    this.#watchExpiry();
  }

  onEvent(event: EngineEvent): void {
    if (this.#isClosing) return;
    this.#isClosing = event.type === 'end';
    this.#write(this.#options.generation.take(event));
  }

  onFailure(error: TidarError): void {
    if (this.#isClosing) return;
    this.#isClosing = true;
    this.#write(this.#options.generation.fail(error));
  }

  /** Ends it with this error. */
  cancel(reason: TidarError): void {
    this.ticket?.cancel(reason);
  }

  /** It was not begun after all: nobody is told, and nothing is written. */
  abandon(reason: TidarError): void {
    this.#isClosing = true;
    this.#isClosed = true;
    this.#clearTimers();
    this.ticket?.cancel(reason);
  }

  /** A lease to renew: it may go on to a later token, until a later time. */
  renew({ end_token: endToken, expires_at_ms: expiresAtMs }: LeasePayload): number {
    if (endToken > this.#endToken) {
      this.#endToken = endToken;
      this.ticket?.extend(endToken);
    }
    this.#expiresAtMs = Math.max(this.#expiresAtMs, expiresAtMs);
    this.#watchExpiry();
    this.#watchSlice();
    return this.#endToken;
  }

  /** Makes this its reader; the one before is told so, and ended. */
  attach(): LiveEvents {
    this.#detach(takenOver());
    this.#grace.clear();
    // All steps that may be under way, and of each choice its finish; the start and the closing event.
    const channel = new EventChannel<Told>(this.#numChoices * (CREDIT_WINDOW + 1) + 2);
    this.#channel = channel;
    return {
      numSteps: this.#numSteps,
      next: async () => {
        const told = await channel.next();
        if (told?.event.type === 'step') this.#returnCredits(1);
        this.#watchSlice();
        return told;
      },
      rejoin: () => {
        if (this.#channel !== channel) throw takenOver();
        return this.attach();
      },
      leave: () => {
        if (this.#channel === channel) this.#leave();
      },
    };
  }

  /** Others wait for a place: a reader who holds it back falls behind. */
  makeRoom(): void {
    const channel = this.#channel;
    if (channel === undefined || channel.size < (this.#numChoices * CREDIT_WINDOW) / 2) return;
    this.#returnCredits(numStepsOf(channel.fallBehind()));
    this.#watchSlice();
  }

  #leave(): void {
    this.#detach(new TidarError('cancelled', 'The reader left.'));
    if (this.#isClosed) return;
    const { clientGraceMs } = this.#options;
    this.#grace.start(clientGraceMs, () =>
      this.cancel(new TidarError('cancelled', 'The client left, and did not come back.')),
    );
    this.#watchSlice();
  }

  #detach(reason: TidarError): void {
    const left = this.#channel?.end(reason) ?? [];
    this.#channel = undefined;
    this.#returnCredits(numStepsOf(left));
  }

  #write(told: Told): void {
    this.#options.journal.write(this.id, told.entry, (failure) => {
      if (failure === undefined) this.#deliver(told);
      else this.#breakOff(failure);
    });
  }

  #deliver(told: Told): void {
    if (this.#isClosed) return;
    const { type } = told.event;
    if (type === 'step') this.#numSteps += 1;
    const isRead = this.#channel?.isBehind === false;
    if (isRead) this.#channel?.push(told);
    else if (type === 'step') this.#returnCredits(1);
    if (this.#options.isCrowded()) this.makeRoom();
    if (type === 'end' || type === 'error') this.#close();
    else this.#watchSlice();
  }

  /** The journal cannot be written: what is not in it is not sent. */
  #breakOff(failure: TidarError): void {
    if (this.#isClosed) return;
    this.#isClosing = true;
    this.ticket?.cancel(failure);
    this.#channel?.push(this.#options.generation.fail(failure));
    this.#close();
  }

  #close(): void {
    this.#isClosed = true;
    this.#clearTimers();
    this.#options.onClosed();
  }

  #clearTimers(): void {
    for (const timer of [this.#grace, this.#sliceWait, this.#expiry]) timer.clear();
  }

  /** In lots: each is a message to the engine's thread. */
  #returnCredits(numCredits: number): void {
    this.#numCreditsToReturn += numCredits;
    if (this.#numCreditsToReturn < (this.#numChoices * CREDIT_WINDOW) / 2) return;
    this.ticket?.addCredits(this.#numCreditsToReturn);
    this.#numCreditsToReturn = 0;
  }

  /**
   * The wait at a slice's end begins when the reader has all of it: then it is he who does not renew. One who is behind
   * is not waited for.
   */
  #watchSlice(): void {
    const hasReaderAll = this.#channel === undefined || this.#channel.size === 0;
    const isPaused = !this.#isClosing && hasReaderAll && this.#options.generation.isAt(this.#endToken);
    if (!isPaused) return this.#sliceWait.clear();
    this.#sliceWait.startOnce(this.#options.sliceWaitMs, () => this.cancel(usedUp(this.#endToken)));
  }

  #watchExpiry(): void {
    this.#expiry.start(Math.min(this.#expiresAtMs - Date.now(), MAX_TIMER_MS), () => this.cancel(expired()));
  }
}

const numStepsOf = (events: readonly Told[]): number =>
  events.filter(({ event }) => event.type === 'step').length;

/** One timer, which is started again or cleared. */
class Timer {
  #timer: NodeJS.Timeout | undefined;

  start(milliseconds: number, callback: () => void): void {
    this.clear();
    this.startOnce(milliseconds, callback);
  }

  /** One that runs goes on. */
  startOnce(milliseconds: number, callback: () => void): void {
    this.#timer ??= setTimeout(callback, milliseconds);
  }

  clear(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}

const takenOver = (): TidarError =>
  new TidarError('stream_taken_over', 'Another reader took this stream over; the generation goes on.');

const usedUp = (endToken: number): TidarError =>
  new TidarError(
    'lease_expired',
    `The lease granted ${endToken} tokens, all of them are generated, and nobody renewed it.`,
  );

const expired = (): TidarError =>
  new TidarError(
    'lease_expired',
    'The lease expired before the text was complete; resume it with a new one.',
  );
