import * as ort from 'onnxruntime-node';
import { TidarError } from '@tidar/shared/errors.ts';
import type { ModelConfig } from '../model/config.ts';
import type { ModelFolder } from '../model/folder.ts';
import { cacheName, newCacheName } from '../model/graph/packed-attention.ts';
import { servingGraph } from '../model/graph/serving.ts';
import { checkBatch } from './check-batch.ts';
import type { ForwardBatch, ForwardOutput, KvCache, ModelSession } from './device.ts';
import { bytesPerColumn, cacheTensorLength, HostCache } from './host-cache.ts';
import { ArrayTensors } from './node-tensors.ts';
import { maxCandidatesOf, sessionEntries } from './options.ts';
import type { SessionOptions } from './options.ts';
import { StepInputs } from './step-inputs.ts';
import { StepOutputs } from './step-outputs.ts';

type Tensors = Record<string, ort.Tensor>;

/** Opens a model folder on the CPU through onnxruntime-node's own API. Runs block the calling thread. */
export async function openNodeSession(folder: ModelFolder, options: SessionOptions): Promise<ModelSession> {
  return new NodeSession(folder, options, await createSession(folder, options));
}

async function createSession(folder: ModelFolder, options: SessionOptions): Promise<ort.InferenceSession> {
  const candidates = maxCandidatesOf(folder.config, options) > 0;
  const graph = servingGraph(folder, { candidates });
  try {
    return await ort.InferenceSession.create(graph, {
      executionProviders: ['cpu'],
      intraOpNumThreads: options.numThreads,
      interOpNumThreads: 1,
      graphOptimizationLevel: 'all',
      // It keeps a plan of every shape that was ever run, and gains no time.
      enableMemPattern: false,
      extra: sessionEntries(folder, options),
    });
  } catch (error) {
    throw new TidarError(
      'model_folder_invalid',
      `onnxruntime could not load the model folder ${folder.name}.`,
      { internal: String(error) },
    );
  }
}

class NodeSession implements ModelSession {
  readonly config: ModelConfig;
  readonly numBytesPerColumn: number;
  readonly maxCandidates: number;
  readonly #minRows: number;
  readonly #session: ort.InferenceSession;
  readonly #inputs: StepInputs;
  readonly #outputs: StepOutputs;
  readonly #tensors = new ArrayTensors();

  constructor({ config }: ModelFolder, options: SessionOptions, session: ort.InferenceSession) {
    this.config = config;
    this.numBytesPerColumn = bytesPerColumn(config);
    this.maxCandidates = maxCandidatesOf(config, options);
    this.#minRows = options.allowSingleRow === true ? 1 : 2;
    this.#session = session;
    this.#inputs = new StepInputs(config, this.maxCandidates > 0);
    this.#outputs = new StepOutputs(config.vocabSize, this.maxCandidates > 0);
  }

  createCache(numSlots: number, capacity: number): KvCache {
    return new NodeCache(this, numSlots, capacity);
  }

  async run(cache: KvCache, batch: ForwardBatch): Promise<ForwardOutput> {
    const { config, maxCandidates } = this;
    checkBatch(batch, cache, { config, maxCandidates, minRows: this.#minRows });
    if (!(cache instanceof NodeCache) || cache.session !== this) {
      throw new TypeError('the cache belongs to another session');
    }
    this.#inputs.fill(batch, cache.capacity);
    this.#outputs.resize(batch);
    const { feeds, fetches } = cache.slots(batch.firstSlot ?? 0, batch.numSlots);
    for (const input of this.#inputs.all) feeds[input.name] = this.#tensors.of(input);
    for (const output of this.#outputs.all) fetches[output.name] = this.#tensors.of(output);
    await this.#session.run(feeds, fetches);
    return this.#outputs;
  }

  async dispose(): Promise<void> {
    await this.#session.release();
  }
}

/** JavaScript's own memory; each number of slots that takes part has its views of it. */
class NodeCache extends HostCache {
  readonly #views = new Map<string, { feeds: Tensors; fetches: Tensors }>();

  readonly session: ModelSession;

  constructor(session: ModelSession, numSlots: number, capacity: number) {
    super(session.config, numSlots, capacity, (length) => new Float32Array(length));
    this.session = session;
  }

  /** What a run over slots [firstSlot, firstSlot + numSlots) reads and writes. */
  slots(firstSlot: number, numSlots: number): { feeds: Tensors; fetches: Tensors } {
    const key = `${firstSlot} ${numSlots}`;
    const known = this.#views.get(key);
    if (known !== undefined) return known;
    const { config, capacity } = this;
    const start = cacheTensorLength(config, firstSlot, capacity);
    const end = cacheTensorLength(config, firstSlot + numSlots, capacity);
    const shape = [numSlots, config.numKeyValueHeads, capacity, config.headDim];
    const view: { feeds: Tensors; fetches: Tensors } = { feeds: {}, fetches: {} };
    this.tensors.forEach((data, index) => {
      const kind = index % 2 === 0 ? 'key' : 'value';
      const layer = Math.floor(index / 2);
      const tensor = new ort.Tensor('float32', data.subarray(start, end), shape);
      view.feeds[cacheName(kind, layer)] = tensor;
      view.fetches[newCacheName(kind, layer)] = tensor;
    });
    this.#views.set(key, view);
    return view;
  }

  override dispose(): void {
    super.dispose();
    this.#views.clear();
  }
}
