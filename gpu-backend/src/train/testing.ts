import { openGraph } from '../device/graph-session.ts';
import type { HostTensor } from '../device/graph-session.ts';
import { openModel } from '../device/open.ts';
import { batchOf } from '../device/testing.ts';
import { loadModelFolder } from '../model/folder.ts';
import { serializeModel } from '../model/graph/serialize.ts';
import { layOutBatch } from './batch.ts';
import { batchTensors } from './batch-tensors.ts';
import { checkpointConfig } from './checkpoint.ts';
import type { Checkpoint } from './checkpoint.ts';
import { buildLossGraph, shapeOf } from './loss-graph.ts';

export interface Layout {
  readonly blockSize: number;
  readonly blockOffset: number;
}

/** One row of the doubled sequence, as both graphs compute it. */
export interface BothLogits {
  readonly isMask: boolean;
  readonly position: number;
  readonly trained: readonly number[];
  readonly served: readonly number[];
}

/**
 * Logits of a sequence and its masks from the training graph, and from the serving graph on the exported folder. Served
 * rows stand in the order of their positions, each with its own row of a plain mask: a position's block begins at the
 * last start before it.
 */
export async function logitsOfBoth(
  checkpoint: Checkpoint,
  modelFolder: string,
  sequence: readonly number[],
  layout: Layout,
): Promise<BothLogits[]> {
  const numTokens = sequence.length;
  const config = checkpointConfig(checkpoint);
  const maskTokenId = config.tidar?.maskTokenId;
  if (maskTokenId === undefined) throw new Error('the checkpoint has no mask token');
  const shape = { ...shapeOf({ ...checkpoint.settings, batchSize: 1, numTokens }), distills: false };
  const graph = buildLossGraph(config, shape, { alpha: 1, distill: 0 });
  graph.b.output('logits', graph.logits);
  const training = await openGraph(serializeModel(graph.b, 'logits'), { numThreads: 1 });
  const { window, numMaskRows = numTokens } = shape;
  const batch = layOutBatch([sequence], { maskTokenId, window, numMaskRows, ...layout });
  const outputs = await training.run({
    ...batchTensors(batch, shape),
    ...parametersOf(checkpoint, graph.parameters),
  });
  const trained = outputs['logits'] ?? new Float32Array();
  await training.dispose();
  const session = await openModel(loadModelFolder(modelFolder), { numThreads: 1 });
  const rows = Array.from({ length: 2 * numTokens }, (_, row) => row);
  const slot = {
    tokenIds: [...sequence, ...sequence.map(() => maskTokenId)],
    positions: rows.map((row) => row % numTokens),
    writeIndex: 0,
    mask: rows.map((row) => rows.map((column) => (sees(row, column, numTokens, layout) ? 1 : 0))),
  };
  const output = await session.run(session.createCache(1, rows.length), batchOf(rows.length, [slot]));
  const both = rows.slice(0, numTokens + numMaskRows).map((row) => {
    const position = Number(batch.positions[row]);
    const isMask = row >= numTokens;
    return {
      isMask,
      position,
      trained: [...trained.subarray(row * config.vocabSize, (row + 1) * config.vocabSize)],
      served: [...output.logits(isMask ? numTokens + position : position)],
    };
  });
  await session.dispose();
  return both;
}

function parametersOf(
  checkpoint: Checkpoint,
  parameters: ReadonlyMap<string, unknown>,
): Record<string, HostTensor> {
  return Object.fromEntries(
    [...checkpoint.tensors]
      .filter(([name]) => parameters.has(name))
      .map(([name, tensor]) => [name, { type: 'float32' as const, ...tensor }]),
  );
}

function sees(row: number, column: number, numTokens: number, { blockSize, blockOffset }: Layout): boolean {
  if (row < numTokens) return column <= row;
  const startOf = (position: number): number => {
    let start = position;
    while (start > 0 && (start - blockOffset) % blockSize !== 0) start -= 1;
    return start;
  };
  const start = startOf(row - numTokens);
  return column < numTokens ? column < start : startOf(column - numTokens) === start;
}

/** The largest difference between what is trained and what is served, over all rows. */
export function worstDifference(both: readonly BothLogits[]): number {
  return Math.max(
    ...both.flatMap(({ trained, served }) =>
      served.map((value, at) => Math.abs(value - (trained[at] ?? NaN))),
    ),
  );
}
