import { TidarError } from '@tidar/shared/errors.ts';
import type { BillReason } from '../ledger/types.ts';
import type { Generation, RelayedEvents } from './generation.ts';
import type { Meter } from './meter.ts';

/** A generation whose every token is counted before it is handed on, and which is settled however it ends. */
export class MeteredGeneration {
  readonly start;
  readonly events: RelayedEvents;
  /** Resolves when the bill is written. */
  readonly settled: Promise<void>;
  readonly #meter: Meter;
  readonly #controller: AbortController;
  readonly #resolveSettled: () => void;

  constructor(generation: Generation, meter: Meter, controller: AbortController) {
    this.start = generation.start;
    this.#meter = meter;
    this.#controller = controller;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.settled = promise;
    this.#resolveSettled = resolve;
    this.events = this.#read(generation);
  }

  /** The client has gone: ends the generation and bills what was handed on. */
  async leave(): Promise<void> {
    this.#controller.abort(clientLeft());
    await this.events.return();
    // A generator that never began runs no `finally`.
    await this.#settle('cancelled');
  }

  async *#read(generation: Generation): RelayedEvents {
    try {
      await this.#meter.start(generation.start);
      for await (const event of generation.events) {
        if (event.type === 'step') this.#meter.step(event);
        else if (event.type === 'finish') this.#meter.finish(event);
        else {
          this.#meter.end(event);
          // Who sees the end finds the bill in the ledger.
          await this.#settle(this.#meter.reason);
        }
        yield event;
      }
    } catch (error) {
      await this.#settle(this.#reasonFor(error));
      throw error;
    } finally {
      // Still open here only if the reader stopped reading.
      await this.#settle('cancelled');
      this.#controller.abort(clientLeft());
    }
  }

  #reasonFor(error: unknown): BillReason {
    if (error instanceof TidarError && error.code === 'key_revoked') return 'revoked';
    const reason: unknown = this.#controller.signal.reason;
    return reason instanceof TidarError && reason.code === 'cancelled' ? 'cancelled' : 'error';
  }

  async #settle(finishReason: BillReason): Promise<void> {
    await this.#meter.settle(finishReason);
    this.#resolveSettled();
  }
}

function clientLeft(): TidarError {
  return new TidarError('cancelled', 'The client closed the connection.');
}
