import * as ort from 'onnxruntime-node';
import { GraphBuilder } from '../../model/graph/builder.ts';
import type { Value } from '../../model/graph/builder.ts';
import { gatherRows } from '../../model/graph/ops.ts';
import { serializeModel } from '../../model/graph/serialize.ts';
import { WEBGPU_OPTIONS } from './options.ts';

/** A tensor in a GPU buffer. Its content is only ever read by other graphs: `getData` on it ends the process. */
export type GpuTensor = ort.Tensor;

/** Graphs that make, read and write tables of columns [columns, headDim] without them leaving the GPU. */
export class ColumnGraphs {
  readonly #zeros: ort.InferenceSession;
  readonly #gather: ort.InferenceSession;
  readonly #scatter: ort.InferenceSession;

  private constructor(sessions: readonly [ort.InferenceSession, ort.InferenceSession, ort.InferenceSession]) {
    [this.#zeros, this.#gather, this.#scatter] = sessions;
  }

  static async open(headDim: number): Promise<ColumnGraphs> {
    return new ColumnGraphs([
      await openGraph(zerosGraph(), true),
      await openGraph(gatherGraph(headDim), true),
      // Written to the tensor that it is given as its output, which is its input.
      await openGraph(scatterGraph(headDim), false),
    ]);
  }

  async zeros(numColumns: number, headDim: number): Promise<GpuTensor> {
    const shape = new ort.Tensor('int64', BigInt64Array.of(BigInt(numColumns), BigInt(headDim)), [2]);
    return outputOf(await this.#zeros.run({ shape }), 'zeros');
  }

  /** A table of its own of some columns. */
  async gather(table: GpuTensor, places: Int32Array): Promise<GpuTensor> {
    const feeds = { table, places: new ort.Tensor('int32', places, [places.length]) };
    return outputOf(await this.#gather.run(feeds), 'columns');
  }

  /** Writes columns to their places in the table. */
  async scatter(table: GpuTensor, places: Int32Array, columns: GpuTensor): Promise<void> {
    const feeds = { table, columns, places: new ort.Tensor('int32', places, [places.length, 1]) };
    await this.#scatter.run(feeds, { written: table });
  }

  async dispose(): Promise<void> {
    for (const session of [this.#zeros, this.#gather, this.#scatter]) await session.release();
  }
}

function openGraph(graph: Uint8Array, keepsOutputs: boolean): Promise<ort.InferenceSession> {
  return ort.InferenceSession.create(graph, {
    ...WEBGPU_OPTIONS,
    ...(keepsOutputs ? { preferredOutputLocation: 'gpu-buffer' } : {}),
  });
}

function outputOf(outputs: ort.InferenceSession.OnnxValueMapType, name: string): GpuTensor {
  const tensor = outputs[name];
  if (tensor === undefined) throw new Error(`the graph gave no ${name}`);
  return tensor;
}

function zerosGraph(): Uint8Array {
  const b = new GraphBuilder();
  const output = { type: 'float32', shape: ['columns', 'head_dim'] } as const;
  b.output('zeros', b.node('Expand', [b.scalar(0), b.input('shape', 'int64', [2])], output));
  return serializeModel(b, 'zeros');
}

function gatherGraph(headDim: number): Uint8Array {
  const b = new GraphBuilder();
  const places = b.input('places', 'int32', ['taken']);
  b.output('columns', gatherRows(b, tableInput(b, headDim), places));
  return serializeModel(b, 'gather');
}

function scatterGraph(headDim: number): Uint8Array {
  const b = new GraphBuilder();
  const table = tableInput(b, headDim);
  const columns = b.input('columns', 'float32', ['given', headDim]);
  const places = b.input('places', 'int32', ['given', 1]);
  const spread = b.node('Expand', [places, b.list([1, headDim])], { type: 'int32', shape: columns.shape });
  const output = { type: table.type, shape: table.shape };
  b.output('written', b.node('ScatterElements', [table, spread, columns], output, { axis: 0 }));
  return serializeModel(b, 'scatter');
}

function tableInput(b: GraphBuilder, headDim: number): Value {
  return b.input('table', 'float32', ['columns', headDim]);
}
