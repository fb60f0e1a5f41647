import { Worker } from 'node:worker_threads';
import { TidarError } from '@tidar/shared/errors.ts';
import { EventChannel } from './event-channel.ts';
import type {
  EngineEvent,
  EngineRequest,
  EngineWorkerData,
  FromEngine,
  ToEngine,
} from './engine-messages.ts';
import { fromEngineError } from './engine-messages.ts';
import type { Log } from './log.ts';

/** Steps that may be on their way to a request's reader; half of them are granted again at a time. */
const CREDIT_WINDOW = 16;
/** Beside the steps of the window: `admitted`, held-back text and `end` need no credit. */
const NUM_FREE_EVENTS = 3;
const RESTART_DELAY_MS = 1000;
const RESTART_PERIOD_MS = 5 * 60_000;

export interface EngineClientOptions extends EngineWorkerData {
  readonly maxWaiting: number;
  readonly log: Log;
  /** The model can't be opened, or the engine crashed twice: the process has nothing left to serve. */
  readonly onFatal: (error: TidarError) => void;
  /** The engine's thread; a test keeps it to end it. */
  readonly startWorker?: (data: EngineWorkerData) => Worker;
}

interface OpenRequest {
  readonly channel: EventChannel<EngineEvent>;
  isAdmitted: boolean;
}

/**
 * The main thread's side of the engine. A crash of the engine's thread ends every open request with `internal`; the
 * thread is started again once, after a second, and a second crash within five minutes is fatal.
 */
export class EngineClient {
  readonly #options: EngineClientOptions;
  readonly #open = new Map<number, OpenRequest>();
  readonly #whenReady = Promise.withResolvers<string>();
  #worker: Worker | undefined;
  #runtime: string | undefined;
  #nextId = 1;
  #lastCrashAt = -Infinity;
  #isClosing = false;

  constructor(options: EngineClientOptions) {
    this.#options = options;
    this.#whenReady.promise.catch(() => undefined); // onFatal tells of a failure as well
  }

  /** Starts the engine's thread, which loads the model. */
  start(): void {
    const { folder, numThreads, maxConcurrent } = this.#options;
    const { path, name, config, tensors, contentHash } = folder; // without the tokenizer: functions can't be sent
    const data = { folder: { path, name, config, tensors, contentHash }, numThreads, maxConcurrent };
    const worker = (this.#options.startWorker ?? startWorker)(data);
    this.#worker = worker;
    worker.on('message', (message: FromEngine) => this.#receive(message));
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
    return [...this.#open.values()].filter(({ isAdmitted }) => isAdmitted).length;
  }

  get numWaiting(): number {
    return this.#open.size - this.numRunning;
  }

  /**
   * Submits a request at once and gives its events; throws `overloaded` where no more may wait. Aborting the signal
   * cancels it and ends the events with the signal's reason. Leaving the loop early cancels it too.
   */
  generate(request: EngineRequest, signal: AbortSignal): AsyncIterableIterator<EngineEvent> {
    const { maxConcurrent, maxWaiting } = this.#options;
    if (this.#runtime === undefined) {
      throw new TidarError('backend_unavailable', 'The model is still being loaded; try again in a moment.');
    }
    if (this.#open.size >= maxConcurrent + maxWaiting) {
      throw new TidarError(
        'overloaded',
        `The backend is at its limit of ${maxConcurrent} running and ${maxWaiting} waiting requests; try again later.`,
      );
    }
    const id = this.#nextId++;
    const channel = new EventChannel<EngineEvent>(CREDIT_WINDOW + NUM_FREE_EVENTS);
    this.#open.set(id, { channel, isAdmitted: false });
    this.#post({ type: 'submit', id, request, numCredits: CREDIT_WINDOW });
    const onAbort = (): void => {
      this.#post({ type: 'cancel', id });
      channel.fail(abortReason(signal));
    };
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
    return this.#read(id, channel, () => signal.removeEventListener('abort', onAbort));
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

  async *#read(
    id: number,
    channel: EventChannel<EngineEvent>,
    release: () => void,
  ): AsyncGenerator<EngineEvent, void, undefined> {
    let numTaken = 0;
    try {
      for (;;) {
        const event = await channel.next();
        if (event.type === 'step' && ++numTaken % (CREDIT_WINDOW / 2) === 0) {
          this.#post({ type: 'credit', id, numCredits: CREDIT_WINDOW / 2 });
        }
        yield event;
        if (event.type === 'end') return;
      }
    } finally {
      release();
      if (this.#open.has(id)) this.#post({ type: 'cancel', id });
    }
  }

  #receive(message: FromEngine): void {
    switch (message.type) {
      case 'ready':
        this.#runtime = message.runtime;
        return this.#whenReady.resolve(message.runtime);
      case 'failed':
        return this.#giveUp(fromEngineError(message.error));
      case 'event':
        return this.#deliver(message.id, message.event);
      case 'error':
        this.#open.get(message.id)?.channel.fail(fromEngineError(message.error));
        this.#open.delete(message.id);
    }
  }

  #deliver(id: number, event: EngineEvent): void {
    const open = this.#open.get(id);
    if (open === undefined) return;
    if (event.type === 'admitted') open.isAdmitted = true;
    if (event.type === 'end') this.#open.delete(id);
    open.channel.push(event);
  }

  #onExit(worker: Worker, exitCode: number): void {
    if (worker !== this.#worker) return;
    this.#worker = undefined;
    this.#runtime = undefined;
    this.#failOpen();
    if (this.#isClosing) return;
    const crashedAt = performance.now();
    const isSecond = crashedAt - this.#lastCrashAt < RESTART_PERIOD_MS;
    this.#lastCrashAt = crashedAt;
    this.#options.log('engine_crashed', { exitCode, restarts: !isSecond });
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
    for (const { channel } of this.#open.values()) channel.fail(error);
    this.#open.clear();
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

function startWorker(data: EngineWorkerData): Worker {
  return new Worker(new URL('./engine-worker.ts', import.meta.url), { workerData: data });
}

function abortReason(signal: AbortSignal): TidarError {
  const reason: unknown = signal.reason;
  return reason instanceof TidarError ? reason : new TidarError('cancelled', 'The generation was cancelled.');
}
