import type { HostTensor } from '../device/graph-session.ts';
import type { TrainingBatch } from './batch.ts';
import type { TrainingShape } from './loss-graph.ts';

/** A batch as the inputs of the graph that buildLossGraph makes for `shape`. */
export function batchTensors(batch: TrainingBatch, shape: TrainingShape): Record<string, HostTensor> {
  const { numTokens, window, numMaskRows = numTokens } = shape;
  const numRows = batch.tokenIds.length;
  const tensors: Record<string, HostTensor> = {
    token_ids: { type: 'int64', data: batch.tokenIds, shape: [numRows] },
    positions: { type: 'int64', data: batch.positions, shape: [1, numRows] },
    labels: { type: 'int64', data: batch.labels, shape: [numRows] },
    ar_weights: float([numRows], batch.arWeights),
    causal: float([numTokens, numTokens], batch.causal),
  };
  if (batch.diffusion === undefined) return tensors;
  const { teacherRows, teacherWeights } = batch.diffusion;
  const teachers: Record<string, HostTensor> = {
    teacher_rows: { type: 'int64', data: teacherRows, shape: [numRows] },
    teacher_weights: float([numRows], teacherWeights),
  };
  return {
    ...tensors,
    ...(shape.distills === true ? teachers : {}),
    diffusion_weights: float([numRows], batch.diffusion.weights),
    clean_for_masks: float([shape.batch, numMaskRows, numTokens], batch.diffusion.cleanForMasks),
    own_block: float([shape.batch, numMaskRows, window], batch.diffusion.ownBlock),
  };
}

function float(shape: readonly number[], data: Float32Array): HostTensor {
  return { type: 'float32', data, shape };
}
