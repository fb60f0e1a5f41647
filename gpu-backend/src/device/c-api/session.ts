import { TidarError } from '@tidar/shared/errors.ts';
import type { ModelConfig } from '../../model/config.ts';
import type { ModelFolder } from '../../model/folder.ts';
import { checkBatch } from '../check-batch.ts';
import type { ForwardBatch, ForwardOutput, KvCache, ModelSession } from '../device.ts';
import { bytesPerColumn } from '../host-cache.ts';
import { maxCandidatesOf } from '../options.ts';
import type { SessionOptions } from '../options.ts';
import { StepInputs } from '../step-inputs.ts';
import { StepOutputs } from '../step-outputs.ts';
import { CApiCache } from './cache.ts';
import { createSession } from './create-session.ts';
import { withDenormalsAsZero } from './denormals.ts';
import type { Pointer } from './library.ts';
import { attempt, call, failure, Handle, result } from './status.ts';

/** Numbers so small that the CPU is slow with them count as zero. */
const CPU_ENTRIES = { 'session.set_denormal_as_zero': '1' };

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
    this.#session = createSession(folder, options, { entries: CPU_ENTRIES });
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
