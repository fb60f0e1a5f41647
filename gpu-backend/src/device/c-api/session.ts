import path from 'node:path';
import { TidarError } from '@tidar/shared/errors.ts';
import type { ModelConfig } from '../../model/config.ts';
import type { ModelFolder } from '../../model/folder.ts';
import { servingGraph } from '../../model/graph/serving.ts';
import { checkBatch } from '../check-batch.ts';
import type { ForwardBatch, ForwardOutput, KvCache, ModelSession } from '../device.ts';
import { bytesPerColumn } from '../host-cache.ts';
import { maxCandidatesOf, sessionEntries } from '../options.ts';
import type { SessionOptions } from '../options.ts';
import { StepInputs } from '../step-inputs.ts';
import { StepOutputs } from '../step-outputs.ts';
import { whileFreedMemoryReturns } from './allocator.ts';
import { CApiCache } from './cache.ts';
import { withDenormalsAsZero } from './denormals.ts';
import type { Pointer } from './library.ts';
import { attempt, call, failure, Handle, result } from './status.ts';

const LOG_WARNINGS = 2;
const ALL_OPTIMIZATIONS = 99;

/** Opens a model folder on the CPU through onnxruntime's C API. Runs block the calling thread, which must be one. */
export function openCApiSession(folder: ModelFolder, options: SessionOptions): Promise<CApiSession> {
  return Promise.resolve().then(() => new CApiSession(folder, options));
}

/**
 * Ends the run in progress of the session with this address, from any thread; the run then throws `cancelled`. Where
 * none is in progress, the next one ends so.
 */
export function cancelRun(cancelAddress: Pointer): void {
  call('RunOptionsSetTerminate', cancelAddress);
}

export class CApiSession implements ModelSession {
  readonly config: ModelConfig;
  readonly numBytesPerColumn: number;
  readonly maxCandidates: number;
  readonly #minRows: number;
  readonly #session: Handle;
  readonly #runOptions: Handle;
  readonly #inputs: StepInputs;
  readonly #outputs: StepOutputs;

  constructor(folder: ModelFolder, options: SessionOptions) {
    const { config } = folder;
    this.config = config;
    this.numBytesPerColumn = bytesPerColumn(config);
    this.maxCandidates = maxCandidatesOf(config, options);
    this.#minRows = options.allowSingleRow === true ? 1 : 2;
    this.#session = createSession(folder, options);
    this.#runOptions = new Handle('RunOptions', result('CreateRunOptions'));
    this.#inputs = new StepInputs(config, this.maxCandidates > 0);
    this.#outputs = new StepOutputs(config.vocabSize, this.maxCandidates > 0);
  }

  /** What another thread gives to `cancelRun`. */
  get cancelAddress(): Pointer {
    return this.#runOptions.pointer;
  }

  createCache(numSlots: number, capacity: number): KvCache {
    return new CApiCache(this.#session, this.config, numSlots, capacity);
  }

  async run(cache: KvCache, batch: ForwardBatch): Promise<ForwardOutput> {
    const { config, maxCandidates } = this;
    checkBatch(batch, cache, { config, maxCandidates, minRows: this.#minRows });
    if (!(cache instanceof CApiCache) || cache.session !== this.#session) {
      throw new TypeError('the cache belongs to another session');
    }
    this.#inputs.fill(batch, cache.capacity);
    this.#outputs.resize(batch);
    const binding = cache.bindingFor(batch);
    for (const input of this.#inputs.all) binding.bindArray('input', input);
    for (const output of this.#outputs.all) binding.bindArray('output', output);
    this.#run(binding.pointer);
    return this.#outputs;
  }

  async dispose(): Promise<void> {
    this.#runOptions.dispose();
    this.#session.dispose();
  }

  #run(binding: Pointer): void {
    const runOptions = this.#runOptions.pointer;
    const session = this.#session.pointer;
    const text = withDenormalsAsZero(() => attempt('RunWithBinding', session, runOptions, binding));
    if (text === undefined) return;
    if (!text.includes('terminate flag')) throw failure('RunWithBinding', text);
    call('RunOptionsUnsetTerminate', runOptions);
    throw new TidarError('cancelled', 'The run was cancelled.', { internal: text });
  }
}

/** One a thread, for as long as the thread lives: sessions use it to their end. */
let environment: Handle | undefined;

function createSession(folder: ModelFolder, options: SessionOptions): Handle {
  environment ??= new Handle('Env', result('CreateEnv', LOG_WARNINGS, 'tidar'));
  const sessionOptions = new Handle('SessionOptions', result('CreateSessionOptions'));
  try {
    call('SetSessionGraphOptimizationLevel', sessionOptions.pointer, ALL_OPTIMIZATIONS);
    call('SetIntraOpNumThreads', sessionOptions.pointer, options.numThreads);
    // It keeps a plan of every shape that was ever run, and gains no time.
    call('DisableMemPattern', sessionOptions.pointer);
    call('SetInterOpNumThreads', sessionOptions.pointer, 1);
    const entries = { ...sessionEntries(folder, options), 'session.set_denormal_as_zero': '1' };
    for (const [key, value] of Object.entries(entries)) {
      call('AddSessionConfigEntry', sessionOptions.pointer, key, value);
    }
    const candidates = maxCandidatesOf(folder.config, options) > 0;
    const graph = servingGraph(folder, { candidates });
    const place = new BigUint64Array(1);
    const args = [environment.pointer, graph, graph.length, sessionOptions.pointer, place] as const;
    // Its own threads flush denormals too, and it would leave this one doing so.
    const text = whileFreedMemoryReturns(() =>
      withDenormalsAsZero(() => attempt('CreateSessionFromArray', ...args)),
    );
    if (text === undefined) return new Handle('Session', place[0] ?? 0n);
    const message = `onnxruntime could not load the model folder ${path.basename(folder.path)}.`;
    throw new TidarError('model_folder_invalid', message, { internal: text });
  } finally {
    sessionOptions.dispose();
  }
}
