import * as ort from 'onnxruntime-node';
import { whileDenormalsAreZero } from './c-api/denormals.ts';

/** A tensor on the host, in row-major order. */
export interface HostTensor {
  readonly type: 'float32' | 'int64' | 'bool';
  readonly data: Float32Array | BigInt64Array | Uint8Array;
  readonly shape: readonly number[];
}

export type HostTensors = Readonly<Record<string, HostTensor>>;

/** Any graph, run on the CPU: what training and the tests of single ops need. */
export interface GraphSession {
  /**
   * Runs the graph and returns its outputs. An output named in `into` is written to that tensor's memory,
   * which must not be an input of the same run.
   */
  run(inputs: HostTensors, into?: HostTensors): Promise<Record<string, Float32Array>>;
  dispose(): Promise<void>;
}

/** Loads a serialized graph. `into` of a run may leave outputs out: they are then allocated for each run. */
export async function openGraph(graph: Uint8Array, options: { numThreads: number }): Promise<GraphSession> {
  const session = await whileDenormalsAreZero(() =>
    ort.InferenceSession.create(graph, {
      executionProviders: ['cpu'],
      intraOpNumThreads: options.numThreads,
      interOpNumThreads: 1,
      graphOptimizationLevel: 'all',
      // A plan of all memory would be held beside what the first run took, and gains no time.
      enableMemPattern: false,
      // Masked columns' weights are denormal numbers, which cost Softmax eight times its time.
      extra: { session: { set_denormal_as_zero: '1' } },
    }),
  );
  return {
    run: async (inputs, into = {}) => {
      const fetches: Record<string, ort.Tensor | null> = {};
      for (const name of session.outputNames) {
        const target = into[name];
        fetches[name] = target === undefined ? null : toOrt(target);
      }
      const feeds = Object.fromEntries(Object.entries(inputs).map(([name, tensor]) => [name, toOrt(tensor)]));
      const outputs = await whileDenormalsAreZero(() => session.run(feeds, fetches));
      return Object.fromEntries(session.outputNames.map((name) => [name, floats(name, outputs[name])]));
    },
    dispose: () => session.release(),
  };
}

function toOrt(tensor: HostTensor): ort.Tensor {
  return new ort.Tensor(tensor.type, tensor.data, [...tensor.shape]);
}

function floats(name: string, tensor: ort.Tensor | undefined): Float32Array {
  if (!(tensor?.data instanceof Float32Array)) throw new TypeError(`${name} is not a float32 output`);
  return tensor.data;
}
