import { TidarError, toTidarError } from '@tidar/shared/errors.ts';
import type { LeasePayload } from '@tidar/shared/lease.ts';
import type { GenerateRequest, ModelInfo } from '@tidar/shared/protocol.ts';
import type { TraceContext } from '@tidar/shared/trace-context.ts';
import type { EngineClient } from './engine-client.ts';
import { Forgetting } from './forgetting.ts';
import { Generation } from './generation.ts';
import type { GenerationHost } from './generation.ts';
import type { Journal, JournalPlace } from './journal/journal.ts';
import type { NewRecord } from './journal/records.ts';
import type { PreparedRequest } from './prompt.ts';
import { RunningGeneration } from './running-generation.ts';

export interface GenerationsOptions {
  readonly engine: Pick<EngineClient, 'submit' | 'numWaiting' | 'onWaiting'>;
  readonly journal: Journal;
  readonly host: GenerationHost;
  readonly clientGraceMs: number;
  readonly sliceWaitMs: number;
}

/** A request that passed every check; nothing is started yet. */
export interface CheckedRequest {
  readonly model: ModelInfo;
  readonly request: GenerateRequest;
  readonly lease: LeasePayload;
  readonly prepared: PreparedRequest;
  /** By `performance.now()`. */
  readonly receivedAt: number;
  readonly trace: TraceContext;
}

/** The generations that run, one a request, and whether new ones are taken. */
export class Generations {
  readonly #options: GenerationsOptions;
  readonly #open = new Set<RunningGeneration>();
  /** The highest attempt of each request. */
  readonly #byRequest = new Map<string, RunningGeneration>();
  readonly forgetting: Forgetting;
  #isDraining = false;
  #onIdle: () => void = () => undefined;

  constructor(options: GenerationsOptions) {
    this.#options = options;
    const { journal, clientGraceMs, engine } = options;
    this.forgetting = new Forgetting((id) => journal.forget(id), clientGraceMs);
    engine.onWaiting = () => {
      for (const running of this.#open) running.makeRoom();
    };
  }

  get isDraining(): boolean {
    return this.#isDraining;
  }

  get size(): number {
    return this.#open.size;
  }

  /** Throws `shutting_down` once draining has begun. */
  assertTaking(): void {
    if (!this.#isDraining) return;
    throw new TidarError(
      'shutting_down',
      'The backend is shutting down and takes no new requests; try again later.',
    );
  }

  /**
   * Starts an attempt, which is written first; it ends a lower one of the same request. Throws `duplicate_attempt`, or
   * `overloaded` where nothing was started.
   */
  start(checked: CheckedRequest): RunningGeneration {
    const { lease, prepared } = checked;
    let running: RunningGeneration | undefined;
    try {
      this.#options.journal.begin(newRecord(checked), (place) => {
        running = this.#create(checked, place);
        running.ticket = this.#options.engine.submit(prepared.engineRequest, running);
      });
    } catch (error) {
      running?.abandon(toTidarError(error));
      throw error;
    }
    if (running === undefined) throw new TypeError('the journal began without a start');
    this.#byRequest.get(lease.request_id)?.cancel(superseded(lease.attempt));
    this.#open.add(running);
    if (!checked.request.store) this.forgetting.add(running.id);
    this.#byRequest.set(lease.request_id, running);
    return running;
  }

  /** The running generation of this attempt. */
  find(requestId: string, attempt: number): RunningGeneration | undefined {
    const running = this.#byRequest.get(requestId);
    return running?.attempt === attempt ? running : undefined;
  }

  /** Takes no more; after `limitMs` what still runs ends with `shutting_down`. Returns when none runs. */
  async drain(limitMs: number): Promise<void> {
    this.#isDraining = true;
    if (this.#open.size === 0) return;
    const idle = new Promise<void>((resolve) => (this.#onIdle = resolve));
    const timer = setTimeout(() => {
      for (const running of this.#open) running.cancel(shutDown());
    }, limitMs);
    await idle;
    clearTimeout(timer);
  }

  #create(checked: CheckedRequest, { id, numSteps }: JournalPlace): RunningGeneration {
    const { engine, host, journal, clientGraceMs, sliceWaitMs } = this.#options;
    const { model, request, lease, prepared, receivedAt, trace } = checked;
    const running: RunningGeneration = new RunningGeneration({
      id,
      numSteps,
      generation: new Generation(host, model, request, { prepared, receivedAt, numSteps, trace }),
      journal,
      lease,
      clientGraceMs,
      sliceWaitMs,
      isCrowded: () => engine.numWaiting > 0,
      onClosed: () => this.#onClosed(running, request.request_id),
    });
    return running;
  }

  #onClosed(running: RunningGeneration, requestId: string): void {
    this.#open.delete(running);
    if (this.#byRequest.get(requestId) === running) this.#byRequest.delete(requestId);
    this.forgetting.onClosed(running.id);
    if (this.#open.size === 0) this.#onIdle();
  }
}

function newRecord({ model, request, lease, prepared }: CheckedRequest): NewRecord {
  const { resume: _, ...asked } = request;
  return {
    requestId: lease.request_id,
    attempt: lease.attempt,
    model: model.id,
    fingerprint: model.fingerprint,
    seed: request.sampling.seed,
    isStored: request.store,
    request: JSON.stringify(asked),
    promptIds: prepared.promptIds,
    resumedIds: prepared.resumedIds,
  };
}

const superseded = (attempt: number): TidarError =>
  new TidarError('attempt_superseded', `Attempt ${attempt} of this request took this one's place.`);

const shutDown = (): TidarError =>
  new TidarError(
    'shutting_down',
    'The backend shut down before the text was complete; try again or resume it.',
  );
