import type { ModelConfig } from '../../model/config.ts';
import type { ModelFolder } from '../../model/folder.ts';
import type { Binding } from '../c-api/binding.ts';
import { createSession, ortEnvironment } from '../c-api/create-session.ts';
import { libraryPlace } from '../c-api/library.ts';
import { attempt, failure } from '../c-api/status.ts';
import type { Handle } from '../c-api/status.ts';
import { checkBatch } from '../check-batch.ts';
import type { Choice } from '../choose.ts';
import type { ForwardBatch, ForwardOutput, GpuInfo, KvCache, ModelSession } from '../device.ts';
import { maxCandidatesOf } from '../options.ts';
import type { SessionOptions } from '../options.ts';
import { StepInputs } from '../step-inputs.ts';
import { CudaCache, columnBytes } from './cache.ts';
import type { CacheKind } from './cache.ts';
import { Mirror } from './mirror.ts';
import { DEFAULT_CUDA_OPTIONS } from './options.ts';
import type { CudaOptions } from './options.ts';
import { CudaOutputs } from './outputs.ts';
import { newRunOptions, Programs } from './program.ts';
import { appendCudaProvider, openProvider } from './provider.ts';
import { copyTensors, GpuMemory } from './runtime.ts';

/** A node that had to run on the CPU would carry what it reads there and back at each step: better no session. */
export const CUDA_ENTRIES = { 'session.disable_cpu_ep_fallback': '1' };
/** Of what is free once the weights are there: the rest is for what passes compute. */
const CACHE_SHARE = 0.7;
const PLAIN_RUNS = '-1';
/** It is read on the host, before the GPU's work begins. */
const HOST_INPUT = 'num_candidates';

/**
 * Opens a model folder on a GPU through onnxruntime's C API. Runs block the calling thread, which must be one and the
 * same: captured graphs belong to a thread.
 */
export async function openCudaSession(
  folder: ModelFolder,
  options: SessionOptions & { readonly cuda?: CudaOptions | undefined },
  choice: Choice,
): Promise<ModelSession> {
  return new CudaSession(folder, options, choice);
}

export class CudaSession implements ModelSession {
  readonly config: ModelConfig;
  readonly gpu: GpuInfo;
  readonly numBytesPerColumn: number;
  readonly maxCandidates: number;
  readonly #session: Handle;
  readonly #kind: CacheKind;
  readonly #runOptions: Handle;
  readonly #programs: Programs;
  readonly #inputs: StepInputs;
  readonly #outputs: CudaOutputs;
  readonly #mirrors: readonly Mirror[];
  readonly #minRows: number;

  constructor(
    folder: ModelFolder,
    options: SessionOptions & { readonly cuda?: CudaOptions | undefined },
    { hardware, precision }: Choice,
  ) {
    const { config } = folder;
    const { cuda = DEFAULT_CUDA_OPTIONS } = options;
    this.config = config;
    this.maxCandidates = maxCandidatesOf(config, options);
    this.#minRows = options.allowSingleRow === true ? 1 : 2;
    const provider = openProvider(libraryPlace());
    const memory = new GpuMemory(provider.runtimeLibrary, cuda.device);
    this.#kind = { config, precision, memory };
    this.numBytesPerColumn = columnBytes(this.#kind);
    this.#session = createSession(folder, options, {
      entries: CUDA_ENTRIES,
      precision,
      appendProvider: (sessionOptions) => appendCudaProvider(sessionOptions, cuda),
    });
    this.gpu = {
      device: 'cuda',
      hardware,
      precision,
      cacheBytes: Math.floor(CACHE_SHARE * memory.freeBytes),
    };
    this.#runOptions = newRunOptions(PLAIN_RUNS);
    this.#programs = new Programs(this.#session, cuda.graphs === 'on');
    this.#inputs = new StepInputs(config, this.maxCandidates > 0);
    this.#mirrors = this.#inputs.all
      .filter(({ name }) => name !== HOST_INPUT)
      .map((array) => new Mirror(array, memory));
    this.#outputs = new CudaOutputs(config.vocabSize, this.maxCandidates > 0, memory);
  }

  createCache(numSlots: number, capacity: number): KvCache {
    const cache = new CudaCache(this.#kind, numSlots, capacity);
    cache.onDispose = () => this.#programs.forget(cache);
    return cache;
  }

  async run(cache: KvCache, batch: ForwardBatch): Promise<ForwardOutput> {
    const { config, maxCandidates } = this;
    checkBatch(batch, cache, { config, maxCandidates, minRows: this.#minRows });
    if (!(cache instanceof CudaCache) || cache.kind !== this.#kind) {
      throw new TypeError('the cache belongs to another session');
    }
    this.#inputs.fill(batch, cache.capacity);
    this.#outputs.resize(batch);
    this.#makeRoom();
    const program = this.#programs.get(cache, batch, (binding) => this.#bind(binding));
    const tensors = this.#mirrors.map((mirror) => mirror.tensors());
    copyTensors(
      ortEnvironment(),
      tensors.map(({ host }) => host),
      tensors.map(({ device }) => device),
    );
    const runOptions = program.nextOptions(this.#runOptions.pointer);
    const text = attempt('RunWithBinding', this.#session.pointer, runOptions, program.binding.pointer);
    if (text !== undefined) throw failure('RunWithBinding', text);
    this.#outputs.fetch();
    return this.#outputs;
  }

  async dispose(): Promise<void> {
    this.#programs.clear();
    for (const mirror of [...this.#mirrors, ...this.#outputs.mirrors]) mirror.dispose();
    this.#runOptions.dispose();
    this.#session.dispose();
  }

  /** Where an array has outgrown its place on the GPU, all programs would read or write the old one. */
  #makeRoom(): void {
    const outgrown = [...this.#mirrors, ...this.#outputs.mirrors].filter(({ fits }) => !fits);
    if (outgrown.length === 0) return;
    this.#programs.clear();
    for (const mirror of outgrown) mirror.grow();
  }

  #bind(binding: Binding): void {
    const bind = (direction: 'input' | 'output', mirror: Mirror): void => {
      const { name, shape } = mirror.array;
      binding.bind(direction, name, mirror.tensors().device, mirror, shape);
    };
    for (const mirror of this.#mirrors) bind('input', mirror);
    for (const mirror of this.#outputs.mirrors) bind('output', mirror);
    const host = this.#inputs.all.find(({ name }) => name === HOST_INPUT);
    if (host !== undefined) binding.bindArray('input', host);
  }
}
