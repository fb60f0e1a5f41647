import { cacheName, newCacheName } from '../../model/graph/packed-attention.ts';
import { Binding } from '../c-api/binding.ts';
import type { Pointer } from '../c-api/library.ts';
import { call, Handle, result } from '../c-api/status.ts';
import { withValueOver } from '../c-api/value.ts';
import type { ForwardBatch } from '../device.ts';
import type { CudaCache } from './cache.ts';

/** From this run of one shape on it is a captured graph that runs: prompts' shapes mostly come once. */
const FIRST_CAPTURED_RUN = 4;
/** Of a session: the provider frees captured graphs with it alone, and each holds memory of the driver's. */
const MAX_GRAPHS = 256;
const MAX_PROGRAMS = 128;
const GRAPH_ID = 'gpu_graph_id';

export function newRunOptions(graphId: string): Handle {
  const options = new Handle('RunOptions', result('CreateRunOptions'));
  call('AddRunConfigEntry', options.pointer, GRAPH_ID, graphId);
  return options;
}

/** Runs of one shape over one range of one cache: all that is bound stays at its address. */
export class Program {
  readonly cache: CudaCache;
  readonly binding: Binding;
  readonly #takeGraphId: () => number | undefined;
  #graphOptions: Handle | undefined;
  #numRuns = 0;

  constructor(session: Handle, cache: CudaCache, batch: ForwardBatch, takeGraphId: () => number | undefined) {
    this.cache = cache;
    this.#takeGraphId = takeGraphId;
    this.binding = new Binding(session);
    this.#bindCache(batch);
  }

  /** What to run it with next: the number of a graph makes onnxruntime capture it, or replay it once it is there. */
  nextOptions(plain: Pointer): Pointer {
    this.#numRuns += 1;
    if (this.#numRuns === FIRST_CAPTURED_RUN) {
      const id = this.#takeGraphId();
      this.#graphOptions = id === undefined ? undefined : newRunOptions(String(id));
    }
    return this.#graphOptions?.pointer ?? plain;
  }

  dispose(): void {
    this.#graphOptions?.dispose();
    this.binding.dispose();
  }

  /** Each tensor is an input and an output: runs write in place. */
  #bindCache({ firstSlot = 0, numSlots }: ForwardBatch): void {
    const { cache, binding } = this;
    const { config, precision, memory } = cache.kind;
    const shape = [numSlots, config.numKeyValueHeads, cache.capacity, config.headDim];
    const layout = { type: precision, shape, numBytes: cache.slotOffset(numSlots) };
    const start = BigInt(cache.slotOffset(firstSlot));
    cache.tensors.forEach((tensor, index) => {
      const kind = index % 2 === 0 ? 'key' : 'value';
      const layer = Math.floor(index / 2);
      const use = (value: Pointer): void => {
        binding.bind('input', cacheName(kind, layer), value, cache, shape);
        binding.bind('output', newCacheName(kind, layer), value, cache, shape);
      };
      withValueOver(tensor + start, layout, use, memory.info.pointer);
    });
  }
}

/** The programs of a session, the last used last. */
export class Programs {
  readonly #session: Handle;
  readonly #isCapturing: boolean;
  readonly #programs = new Map<string, Program>();
  readonly #cacheNumbers = new WeakMap<CudaCache, number>();
  #numCaches = 0;
  #nextGraphId = 1;

  constructor(session: Handle, isCapturing: boolean) {
    this.#session = session;
    this.#isCapturing = isCapturing;
  }

  /** The program of a batch's shape; a new one is given to `bind`, for what is not the cache. */
  get(cache: CudaCache, batch: ForwardBatch, bind: (binding: Binding) => void): Program {
    const { firstSlot = 0, numSlots, numRows, numPaddedRows, numLogitRows, numCandidates } = batch;
    const key = [
      this.#number(cache),
      firstSlot,
      numSlots,
      numRows,
      numPaddedRows,
      numLogitRows,
      numCandidates,
    ].join(' ');
    const known = this.#programs.get(key);
    this.#programs.delete(key);
    const program = known ?? new Program(this.#session, cache, batch, () => this.#takeGraphId());
    if (known === undefined) bind(program.binding);
    this.#programs.set(key, program);
    if (this.#programs.size > MAX_PROGRAMS) this.#forgetOldest();
    return program;
  }

  /** Forgets the programs of a cache whose memory is about to go. */
  forget(cache: CudaCache): void {
    this.#forgetWhere((program) => program.cache === cache);
  }

  /** Forgets all: what they are bound to has moved. */
  clear(): void {
    this.#forgetWhere(() => true);
  }

  #number(cache: CudaCache): number {
    const known = this.#cacheNumbers.get(cache);
    if (known !== undefined) return known;
    this.#numCaches += 1;
    this.#cacheNumbers.set(cache, this.#numCaches);
    return this.#numCaches;
  }

  #takeGraphId(): number | undefined {
    if (!this.#isCapturing || this.#nextGraphId > MAX_GRAPHS) return undefined;
    this.#nextGraphId += 1;
    return this.#nextGraphId - 1;
  }

  #forgetOldest(): void {
    const [oldest] = this.#programs;
    if (oldest === undefined) return;
    this.#programs.delete(oldest[0]);
    oldest[1].dispose();
  }

  #forgetWhere(isGone: (program: Program) => boolean): void {
    for (const [key, program] of this.#programs) {
      if (!isGone(program)) continue;
      this.#programs.delete(key);
      program.dispose();
    }
  }
}
