import type { Worker } from 'node:worker_threads';
import { TidarError } from '@tidar/shared/errors.ts';
import { AdmissionQueue } from '../engine/admission/admission-queue.ts';
import { startWorker, workerData } from './engine-start.ts';
import type {
  EngineEvent,
  EngineRequest,
  EngineState,
  EngineWorkerData,
  FromEngine,
  ToEngine,
} from './engine-messages.ts';
import { fromEngineError } from './engine-messages.ts';
import type { Log } from './log.ts';

/** Steps of each choice that the engine may be ahead of who reads them. */
export const CREDIT_WINDOW = 16;
const NO_STATE: EngineState = { cacheUsage: 0, numYields: 0 };
const RESTART_DELAY_MS = 1000;
const RESTART_PERIOD_MS = 5 * 60_000;

export interface EngineClientOptions extends EngineWorkerData {
  readonly maxWaiting: number;
  readonly log: Log;
  /** Told what will run the model, before it is loaded. */
  readonly onOpening?: ((lines: readonly (readonly [label: string, text: string])[]) => void) | undefined;
  /** The model can't be opened, or the engine crashed twice: the process has nothing left to serve. */
  readonly onFatal: (error: TidarError) => void;
  /** The engine's thread; a test keeps it to end it. */
  readonly startWorker?: (data: EngineWorkerData) => Worker;
}

/** What is told of a request: events, the last of them an `end`, or one failure in its place. */
export interface EngineListener {
  onEvent(event: EngineEvent): void;
  onFailure(error: TidarError): void;
}

/** A request that the engine has taken. */
export interface EngineTicket {
  /** So many more steps may come: as many as were taken of those that came. */
  addCredits(numCredits: number): void;
  /** Its texts may go on to this token. */
  extend(endToken: number): void;
  /** Ends it: the listener is told this failure at once, and nothing after it. */
  cancel(reason: TidarError): void;
}

interface OpenRequest {
  readonly id: number;
  request: EngineRequest;
  readonly listener: EngineListener;
  /** Whether the engine's thread has it; else it waits in the queue. */
  isSubmitted: boolean;
  /** It was cancelled: what still comes of it is dropped. */
  isCancelled: boolean;
}

/**
 * The main thread's side of the engine: requests wait here, in turns between tenants, until the engine has places for
 * their texts. A crash of the engine's thread ends every open request with `internal`; the
 * thread is started again once, after a second, and a second crash within five minutes is fatal.
 */
export class EngineClient {
  #options: EngineClientOptions;
  readonly #open = new Map<number, OpenRequest>();
  readonly #queue: AdmissionQueue<OpenRequest>;
  /** Called when a request has to wait for a place. */
  onWaiting: () => void = () => undefined;
  readonly #whenReady = Promise.withResolvers<string>();
  /** Texts that the engine's thread has. */
  #numPlacesTaken = 0;
  #worker: Worker | undefined;
  #runtime: string | undefined;
  #state = NO_STATE;
  #nextId = 1;
  #lastCrashAt = -Infinity;
  #isClosing = false;

  constructor(options: EngineClientOptions) {
    this.#options = options;
    this.#queue = new AdmissionQueue({ maxWaiting: options.maxWaiting });
    this.#whenReady.promise.catch(() => undefined); // onFatal tells of a failure as well
  }

  /** Starts the engine's thread, which loads the model. */
  start(): void {
    const worker = (this.#options.startWorker ?? startWorker)(workerData(this.#options));
    this.#worker = worker;
    worker.on('message', (messages: FromEngine[]) => {
      for (const message of messages) this.#receive(message);
    });
    worker.on('error', (error: unknown) => {
      this.#options.log('engine_error', { internal: error instanceof Error ? error.stack : String(error) });
    });
    worker.on('exit', (exitCode) => this.#onExit(worker, exitCode));
  }

  /** What runs the model, once it is loaded. */
  get ready(): Promise<string> {
    return this.#whenReady.promise;
  }

  /** Undefined while the model is being loaded, at first or after a crash. */
  get runtime(): string | undefined {
    return this.#runtime;
  }

  get numRunning(): number {
    return this.#open.size - this.#queue.size;
  }

  get state(): EngineState {
    return this.#state;
  }

  get numWaiting(): number {
    return this.#queue.size;
  }

  /** Takes a request at once; throws `overloaded`, with a time to come back, where no more may wait. */
  submit(request: EngineRequest, listener: EngineListener): EngineTicket {
    this.#assertTakes(request);
    const open = { id: this.#nextId++, request, listener, isSubmitted: false, isCancelled: false };
    const { id } = open;
    if (this.#queue.size === 0 && this.#hasPlacesFor(request)) this.#submit(open);
    else this.#enqueue(open);
    this.#open.set(id, open);
    return {
      addCredits: (numCredits) => this.#post({ type: 'credit', id, numCredits }),
      extend: (endToken) => this.#extend(open, endToken),
      cancel: (reason) => this.#cancel(open, reason),
    };
  }

  /** What must hold when nothing is under way; throws where places or requests leaked. */
  checkIntegrity(): void {
    this.#queue.checkIntegrity();
    const submitted = [...this.#open.values()].filter(({ isSubmitted }) => isSubmitted);
    const numPlaces = submitted.reduce((total, { request }) => total + request.numChoices, 0);
    if (numPlaces !== this.#numPlacesTaken) {
      throw new Error(`${this.#numPlacesTaken} places are taken by requests for ${numPlaces}`);
    }
    const next = this.#queue.peek();
    if (next !== undefined && this.#hasPlacesFor(next.item.request))
      throw new Error('a request waits beside places');
  }

  /** Ends the engine's thread after the forward pass it is in. */
  async close(): Promise<void> {
    this.#isClosing = true;
    const worker = this.#worker;
    if (worker === undefined) return;
    const exited = new Promise((resolve) => worker.once('exit', resolve));
    this.#post({ type: 'close' });
    await exited;
  }

  #assertTakes({ numChoices }: EngineRequest): void {
    const { maxConcurrent } = this.#options;
    if (this.#runtime === undefined) {
      throw new TidarError('backend_unavailable', 'The model is still being loaded; try again in a moment.');
    }
    if (numChoices <= maxConcurrent) return;
    throw new TidarError(
      'invalid_request',
      `n is ${numChoices}, but this backend decodes at most ${maxConcurrent} texts at once.`,
      { param: 'n' },
    );
  }

  #hasPlacesFor({ numChoices }: EngineRequest): boolean {
    return this.#numPlacesTaken + numChoices <= this.#options.maxConcurrent;
  }

  #submit(open: OpenRequest): void {
    const { id, request } = open;
    open.isSubmitted = true;
    this.#numPlacesTaken += request.numChoices;
    this.#post({ type: 'submit', id, request, numCredits: request.numChoices * CREDIT_WINDOW });
  }

  #enqueue(open: OpenRequest): void {
    const { maxConcurrent, maxWaiting } = this.#options;
    const { generate, numChoices, tenant } = open.request;
    const cost = numChoices * (generate.promptIds.length + generate.maxTokens);
    const result = this.#queue.push(tenant, cost, open);
    if (result.accepted) return this.onWaiting();
    const sentence =
      result.reason === 'tenant'
        ? 'This key has as many requests waiting as one key may have; try again later.'
        : `The backend is at its limit of ${maxConcurrent} running and ${maxWaiting} waiting requests; try again later.`;
    throw new TidarError('overloaded', sentence, { retryAfterMs: result.retryAfterMs });
  }

  /** Gives free places to those who wait. */
  #pump(): void {
    for (let next = this.#queue.peek(); next !== undefined; next = this.#queue.peek()) {
      if (this.#runtime === undefined || !this.#hasPlacesFor(next.item.request)) return;
      this.#queue.shift();
      this.#submit(next.item);
    }
  }

  #extend(open: OpenRequest, endToken: number): void {
    if (open.isSubmitted) return this.#post({ type: 'extend', id: open.id, endToken });
    open.request = { ...open.request, endToken: Math.max(endToken, open.request.endToken ?? 0) };
  }

  #cancel(open: OpenRequest, reason: TidarError): void {
    if (open.isCancelled || !this.#open.has(open.id)) return;
    open.isCancelled = true;
    if (open.isSubmitted) this.#post({ type: 'cancel', id: open.id });
    else {
      this.#queue.remove(open);
      this.#forget(open);
    }
    open.listener.onFailure(reason);
  }

  #forget(open: OpenRequest): void {
    if (!this.#open.delete(open.id)) return;
    if (open.isSubmitted) this.#numPlacesTaken -= open.request.numChoices;
    this.#pump();
  }

  #receive(message: FromEngine): void {
    switch (message.type) {
      case 'opening':
        this.#options = { ...this.#options, device: message.device };
        return this.#options.onOpening?.(message.lines);
      case 'ready':
        this.#runtime = message.runtime;
        for (const note of message.notes) this.#options.log('engine_note', { note });
        return this.#whenReady.resolve(message.runtime);
      case 'state':
        return void (this.#state = message.state);
      case 'failed':
        return this.#giveUp(fromEngineError(message.error));
      case 'event':
        return this.#deliver(message.id, message.event);
      case 'error': {
        const open = this.#open.get(message.id);
        if (open === undefined) return;
        this.#forget(open);
        if (!open.isCancelled) open.listener.onFailure(fromEngineError(message.error));
      }
    }
  }

  #deliver(id: number, event: EngineEvent): void {
    const open = this.#open.get(id);
    if (open === undefined) return;
    if (event.type === 'end') this.#forget(open);
    if (!open.isCancelled) open.listener.onEvent(event);
  }

  #onExit(worker: Worker, exitCode: number): void {
    if (worker !== this.#worker) return;
    this.#worker = undefined;
    this.#runtime = undefined;
    this.#state = NO_STATE;
    this.#failOpen();
    if (this.#isClosing) return;
    const crashedAt = performance.now();
    const isSecond = crashedAt - this.#lastCrashAt < RESTART_PERIOD_MS;
    this.#lastCrashAt = crashedAt;
    this.#options.log('engine_crashed', { exit_code: exitCode, restarts: !isSecond });
    if (isSecond)
      return this.#giveUp(new TidarError('internal', 'The engine crashed twice within five minutes.'));
    setTimeout(() => {
      if (!this.#isClosing) this.start();
    }, RESTART_DELAY_MS);
  }

  #failOpen(): void {
    const error = new TidarError(
      'internal',
      'The engine stopped while it worked on this request; try it again.',
      {
        retryable: true,
      },
    );
    const all = [...this.#open.values()];
    for (const open of all) if (!open.isSubmitted) this.#queue.remove(open);
    this.#open.clear();
    this.#numPlacesTaken = 0;
    for (const { listener, isCancelled } of all) if (!isCancelled) listener.onFailure(error);
  }

  #giveUp(error: TidarError): void {
    this.#isClosing = true;
    this.#whenReady.reject(error);
    this.#options.onFatal(error);
  }

  #post(message: ToEngine): void {
    this.#worker?.postMessage(message);
  }
}
