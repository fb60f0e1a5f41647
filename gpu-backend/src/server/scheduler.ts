import { TidarError } from '@tidar/shared/errors.ts';
import type { FinishReason } from '@tidar/shared/protocol.ts';
import { generate } from '../decode/generate.ts';
import type { DecodeEvent } from '../decode/generate.ts';
import { StopStringFilter } from '../decode/stop-strings.ts';
import type { ModelSession } from '../device/device.ts';
import type { Tokenizer } from '../model/tokenizer.ts';
import type { EngineEvent, EngineRequest, FromEngine } from './engine-messages.ts';
import { toEngineError } from './engine-messages.ts';

interface Waiting {
  readonly id: number;
  readonly request: EngineRequest;
  numCredits: number;
}

/** A sequence in a slot. It runs only with a credit, so that a slow reader holds up nobody but itself. */
interface Active {
  readonly id: number;
  readonly events: AsyncGenerator<DecodeEvent, void, undefined>;
  readonly abort: AbortController;
  /** Absent where the model has no tokenizer. */
  readonly filter: StopStringFilter | undefined;
  numCredits: number;
  numForwardPasses: number;
}

export interface SchedulerOptions {
  readonly session: ModelSession;
  readonly tokenizer: Tokenizer | undefined;
  readonly maxConcurrent: number;
  readonly emit: (message: FromEngine) => void;
}

/**
 * Gives slots in the order of arrival and forward passes in turns: one pass of one sequence at a time. How many may
 * wait is bounded by whoever submits (see EngineClient).
 */
export class Scheduler {
  readonly #options: SchedulerOptions;
  readonly #waiting = new Map<number, Waiting>();
  /** In the order of turns: the sequence that ran goes to the end. */
  readonly #active = new Map<number, Active>();

  constructor(options: SchedulerOptions) {
    this.#options = options;
  }

  submit(id: number, request: EngineRequest, numCredits: number): void {
    this.#waiting.set(id, { id, request, numCredits });
  }

  addCredits(id: number, numCredits: number): void {
    const open = this.#active.get(id) ?? this.#waiting.get(id);
    if (open !== undefined) open.numCredits += numCredits;
  }

  /** Frees the slot before any other forward pass is made; an id that is not open any more is ignored. */
  cancel(id: number): void {
    this.#active.get(id)?.abort.abort();
    if (this.#waiting.delete(id))
      this.#fail(id, new TidarError('cancelled', 'The generation was cancelled.'));
  }

  /** One forward pass of the sequence whose turn it is; false where none can run. */
  async step(): Promise<boolean> {
    this.#admit();
    const active = this.#nextInTurn();
    if (active === undefined) return false;
    this.#active.delete(active.id);
    this.#active.set(active.id, active);
    try {
      await this.#advance(active);
    } catch (error) {
      this.#active.delete(active.id);
      this.#fail(active.id, error);
    }
    return true;
  }

  /** What must hold when nothing is open; throws where a slot leaked. */
  checkIntegrity(): void {
    if (this.#waiting.size > 0 && this.#active.size < this.#options.maxConcurrent) {
      throw new Error(`${this.#waiting.size} requests wait beside free slots`);
    }
    for (const { id, numCredits } of this.#active.values()) {
      if (numCredits > 0) throw new Error(`request ${id} has a slot and credits but does not run`);
    }
  }

  #admit(): void {
    for (const { id, request, numCredits } of this.#waiting.values()) {
      if (this.#active.size >= this.#options.maxConcurrent) return;
      this.#waiting.delete(id);
      try {
        this.#active.set(id, this.#open(id, request, numCredits));
        this.#emit(id, { type: 'admitted' });
      } catch (error) {
        this.#fail(id, error);
      }
    }
  }

  #open(id: number, request: EngineRequest, numCredits: number): Active {
    const { session, tokenizer } = this.#options;
    const abort = new AbortController();
    const filter = tokenizer && new StopStringFilter(tokenizer.stream(), request.stop);
    // A resumed request's earlier text was sent before; what was held back of it comes with the next tokens.
    filter?.push(request.generate.committedIds ?? []);
    const events = generate(session, request.generate, abort.signal);
    return { id, events, abort, filter, numCredits, numForwardPasses: 0 };
  }

  #nextInTurn(): Active | undefined {
    const sequences = [...this.#active.values()];
    return (
      sequences.find(({ abort }) => abort.signal.aborted) ??
      sequences.find(({ numCredits }) => numCredits > 0)
    );
  }

  async #advance(active: Active): Promise<void> {
    const { done, value: event } = await active.events.next();
    if (done === true) throw new Error('the decoder ended without an end event');
    if (event.type === 'end') return this.#finish(active, event.finishReason);
    active.numForwardPasses += 1;
    active.numCredits -= 1;
    const { text, keptTokenIds, stopped } = active.filter?.push(event.tokenIds) ?? {
      text: '',
      keptTokenIds: event.tokenIds,
      stopped: false,
    };
    const { numRows, numDrafted, numAccepted, milliseconds } = event;
    const pass = { numRows, numDrafted, numAccepted, milliseconds };
    this.#emit(active.id, { type: 'step', tokenIds: keptTokenIds, text, pass });
    if (stopped) {
      await active.events.return();
      this.#finish(active, 'stop');
    }
  }

  #finish({ id, filter, numForwardPasses }: Active, finishReason: FinishReason): void {
    this.#active.delete(id);
    const rest = filter?.flush() ?? { text: '', stopped: false };
    if (rest.text !== '') this.#emit(id, { type: 'step', tokenIds: [], text: rest.text });
    this.#emit(id, { type: 'end', finishReason: rest.stopped ? 'stop' : finishReason, numForwardPasses });
  }

  #emit(id: number, event: EngineEvent): void {
    this.#options.emit({ type: 'event', id, event });
  }

  #fail(id: number, error: unknown): void {
    this.#options.emit({ type: 'error', id, error: toEngineError(error) });
  }
}
