import * as ort from 'onnxruntime-node';
import { TidarError } from '@tidar/shared/errors.ts';
import type { ModelConfig } from '../../model/config.ts';
import type { ModelFolder } from '../../model/folder.ts';
import { servingGraph } from '../../model/graph/serving.ts';
import { checkBatch } from '../check-batch.ts';
import type { ForwardBatch, ForwardOutput, GpuInfo, KvCache, ModelSession } from '../device.ts';
import { bytesPerColumn } from '../host-cache.ts';
import { ArrayTensors } from '../node-tensors.ts';
import { maxCandidatesOf, sessionEntries } from '../options.ts';
import type { SessionOptions } from '../options.ts';
import { StepOutputs } from '../step-outputs.ts';
import { WebGpuCache } from './cache.ts';
import type { CacheHome } from './cache.ts';
import { ColumnGraphs } from './columns.ts';
import { fromFirstSlot, WebGpuInputs } from './inputs.ts';
import { WEBGPU_OPTIONS } from './options.ts';
import { WorkQueue } from './queue.ts';

/** Opens a model folder on the GPU that WebGPU gives. Its cache never leaves it; runs block the calling thread. */
export async function openWebGpuSession(
  folder: ModelFolder,
  options: SessionOptions,
  hardware: string,
): Promise<ModelSession> {
  const session = await createSession(folder, options);
  const graphs = await ColumnGraphs.open(folder.config.headDim);
  return new WebGpuSession(folder.config, options, { session, graphs, hardware });
}

async function createSession(folder: ModelFolder, options: SessionOptions): Promise<ort.InferenceSession> {
  const candidates = maxCandidatesOf(folder.config, options) > 0;
  const graph = servingGraph(folder, { candidates, device: 'webgpu' });
  try {
    return await ort.InferenceSession.create(graph, {
      ...WEBGPU_OPTIONS,
      // A node on the CPU would take its part of the cache, or of the logits, there and back at every pass.
      extra: { ...sessionEntries(folder, options), 'session.disable_cpu_ep_fallback': '1' },
    });
  } catch (error) {
    const message = `onnxruntime could not load the model folder ${folder.name} on WebGPU.`;
    throw new TidarError('model_folder_invalid', message, { internal: String(error) });
  }
}

interface Opened {
  readonly session: ort.InferenceSession;
  readonly graphs: ColumnGraphs;
  readonly hardware: string;
}

class WebGpuSession implements ModelSession {
  readonly config: ModelConfig;
  readonly gpu: GpuInfo;
  readonly numBytesPerColumn: number;
  readonly maxCandidates: number;
  readonly #minRows: number;
  readonly #session: ort.InferenceSession;
  readonly #home: CacheHome;
  readonly #inputs: WebGpuInputs;
  readonly #outputs: StepOutputs;
  readonly #tensors = new ArrayTensors();
  #isDisposed = false;

  constructor(config: ModelConfig, options: SessionOptions, { session, graphs, hardware }: Opened) {
    this.config = config;
    this.gpu = { device: 'webgpu', hardware, precision: 'float32' };
    this.numBytesPerColumn = bytesPerColumn(config);
    this.maxCandidates = maxCandidatesOf(config, options);
    this.#minRows = options.allowSingleRow === true ? 1 : 2;
    this.#session = session;
    this.#home = { config, graphs, queue: new WorkQueue() };
    this.#inputs = new WebGpuInputs(config, this.maxCandidates > 0);
    this.#outputs = new StepOutputs(config.vocabSize, this.maxCandidates > 0, 'int64');
  }

  createCache(numSlots: number, capacity: number): KvCache {
    return new WebGpuCache(this.#home, numSlots, capacity);
  }

  async run(cache: KvCache, batch: ForwardBatch): Promise<ForwardOutput> {
    const { config, maxCandidates } = this;
    if (this.#isDisposed) throw new Error('the session was disposed of');
    checkBatch(batch, cache, { config, maxCandidates, minRows: this.#minRows });
    if (!(cache instanceof WebGpuCache) || cache.home !== this.#home) {
      throw new TypeError('the cache belongs to another session');
    }
    cache.checkAlive();
    return this.#home.queue.run(() => this.#run(cache, fromFirstSlot(batch, cache.capacity)));
  }

  async #run(cache: WebGpuCache, batch: ForwardBatch): Promise<ForwardOutput> {
    this.#inputs.fill(batch, cache.capacity);
    this.#outputs.resize(batch);
    const slots = cache.slots(batch.numSlots);
    const feeds = { ...slots.feeds };
    const fetches = { ...slots.fetches };
    for (const input of this.#inputs.all) feeds[input.name] = this.#tensors.of(input);
    for (const output of this.#outputs.all) fetches[output.name] = this.#tensors.of(output);
    await this.#session.run(feeds, fetches);
    return this.#outputs;
  }

  async dispose(): Promise<void> {
    if (this.#isDisposed) return;
    this.#isDisposed = true;
    await this.#home.queue.run(async () => {
      await this.#session.release();
      await this.#home.graphs.dispose();
    });
  }
}
