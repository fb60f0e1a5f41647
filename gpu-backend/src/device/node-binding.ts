import path from 'node:path';
import * as ort from 'onnxruntime-node';
import { TidarError } from '@tidar/shared/errors.ts';
import type { ModelConfig } from '../model/config.ts';
import type { ModelFolder } from '../model/folder.ts';
import { cacheName, newCacheName, servingGraph } from '../model/graph/serving.ts';
import type { ForwardRows, KvCache, ModelSession } from './device.ts';

type Tensors = Record<string, ort.Tensor>;

/** Opens a model folder on the CPU through onnxruntime-node. Runs block the calling thread. */
export async function openModel(folder: ModelFolder, options: { numThreads: number }): Promise<ModelSession> {
  const { config } = folder;
  const session = await createSession(folder, options.numThreads);
  const logits = new LogitsBuffer(config.vocabSize);
  return {
    config,
    createCache: (capacity) => new NodeKvCache(config, capacity),
    run: async (cache, rows) => {
      assertRows(cache, rows, config);
      if (!(cache instanceof NodeKvCache)) throw new TypeError('the cache belongs to another device');
      const output = logits.tensor(rows.logitRows.length);
      const feeds = { ...rowTensors(cache, rows), ...cache.inputs };
      await session.run(feeds, { ...cache.outputs, logits: output.tensor });
      return output.data;
    },
    dispose: () => session.release(),
  };
}

export const RUNTIME_VERSION: string = ort.env.versions.node ?? ort.env.versions.common;

async function createSession(folder: ModelFolder, numThreads: number): Promise<ort.InferenceSession> {
  const graph = servingGraph(folder.config, folder.tensors);
  try {
    return await ort.InferenceSession.create(graph, {
      executionProviders: ['cpu'],
      intraOpNumThreads: numThreads,
      interOpNumThreads: 1,
      graphOptimizationLevel: 'all',
      extra: {
        session: {
          // Weights are mapped from the folder; the graph itself is never written to disk.
          model_external_initializers_file_folder_path: path.resolve(folder.path),
          intra_op: { allow_spinning: numThreads > 1 ? '1' : '0' },
        },
      },
    });
  } catch (error) {
    throw new TidarError(
      'model_folder_invalid',
      `onnxruntime could not load the model folder ${folder.name}.`,
      {
        internal: String(error),
      },
    );
  }
}

/** Keys and values of every layer, float32 [1, keyValueHeads, capacity, headDim], written in place by runs. */
class NodeKvCache implements KvCache {
  readonly #config: ModelConfig;
  #capacity: number;
  inputs: Tensors = {};
  outputs: Tensors = {};

  constructor(config: ModelConfig, capacity: number) {
    this.#config = config;
    this.#capacity = capacity;
    this.#allocate(capacity, () => undefined);
  }

  get capacity(): number {
    return this.#capacity;
  }

  grow(capacity: number): void {
    if (capacity <= this.#capacity) return;
    const { headDim, numKeyValueHeads } = this.#config;
    const previous = this.inputs;
    const oldColumns = this.#capacity;
    this.#allocate(capacity, (name, data) => {
      const old = previous[name]?.data;
      if (!(old instanceof Float32Array)) return;
      for (let head = 0; head < numKeyValueHeads; head += 1) {
        const row = old.subarray(head * oldColumns * headDim, (head + 1) * oldColumns * headDim);
        data.set(row, head * capacity * headDim);
      }
    });
    this.#capacity = capacity;
  }

  dispose(): void {
    this.inputs = {};
    this.outputs = {};
    this.#capacity = 0;
  }

  /** Zeroed: a masked column has weight 0, but 0 × NaN would be NaN. */
  #allocate(capacity: number, fill: (name: string, data: Float32Array) => void): void {
    const { headDim, numKeyValueHeads, numLayers } = this.#config;
    const inputs: Tensors = {};
    const outputs: Tensors = {};
    for (let layer = 0; layer < numLayers; layer += 1) {
      for (const kind of ['key', 'value'] as const) {
        const name = cacheName(kind, layer);
        const data = new Float32Array(numKeyValueHeads * capacity * headDim);
        fill(name, data);
        const tensor = new ort.Tensor('float32', data, [1, numKeyValueHeads, capacity, headDim]);
        inputs[name] = tensor;
        outputs[newCacheName(kind, layer)] = tensor;
      }
    }
    this.inputs = inputs;
    this.outputs = outputs;
  }
}

/** One growing buffer for logits [numRows, vocab], so that a step allocates nothing large. */
class LogitsBuffer {
  readonly #vocabSize: number;
  #data = new Float32Array(0);

  constructor(vocabSize: number) {
    this.#vocabSize = vocabSize;
  }

  tensor(numRows: number): { tensor: ort.Tensor; data: Float32Array } {
    const size = numRows * this.#vocabSize;
    if (this.#data.length < size) this.#data = new Float32Array(size);
    const data = this.#data.subarray(0, size);
    return { tensor: new ort.Tensor('float32', data, [numRows, this.#vocabSize]), data };
  }
}

function rowTensors(cache: KvCache, rows: ForwardRows): Tensors {
  const numRows = rows.tokenIds.length;
  return {
    token_ids: int64(rows.tokenIds),
    positions: int64(rows.positions),
    write_index: new ort.Tensor('int64', BigInt64Array.of(BigInt(rows.writeIndex)), [1]),
    mask: new ort.Tensor('bool', rows.mask, [1, 1, numRows, cache.capacity]),
    logit_rows: int64(rows.logitRows),
  };
}

function int64(values: Int32Array): ort.Tensor {
  return new ort.Tensor('int64', BigInt64Array.from(values, BigInt), [values.length]);
}

/** What a wrong caller would otherwise learn from wrong text: these are programmer errors. */
function assertRows(cache: KvCache, rows: ForwardRows, config: ModelConfig): void {
  const numRows = rows.tokenIds.length;
  const fail = (what: string): never => {
    throw new RangeError(`forward pass refused: ${what}`);
  };
  if (numRows < 2) fail(`${numRows} rows; one row runs another kernel, give at least 2`);
  if (rows.logitRows.length < 2) fail(`${rows.logitRows.length} logit rows; give at least 2`);
  if (rows.positions.length !== numRows) fail(`${rows.positions.length} positions for ${numRows} rows`);
  if (rows.mask.length !== numRows * cache.capacity) {
    fail(`mask of ${rows.mask.length} for ${numRows} × ${cache.capacity}`);
  }
  if (rows.writeIndex < 0 || rows.writeIndex + numRows > cache.capacity) {
    fail(`columns ${rows.writeIndex} to ${rows.writeIndex + numRows} of ${cache.capacity}`);
  }
  if (rows.tokenIds.some((id) => id < 0 || id >= config.vocabSize)) fail('token id outside the vocabulary');
  if (rows.positions.some((at) => at < 0 || at >= config.maxPositions)) {
    fail(`position outside the model's ${config.maxPositions}`);
  }
  if (rows.logitRows.some((row) => row < 0 || row >= numRows)) fail('logit row outside the rows');
}
