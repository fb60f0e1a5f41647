import type { ModelConfig } from '../model/config.ts';
import { GraphBuilder } from '../model/graph/builder.ts';
import type { Value } from '../model/graph/builder.ts';
import { decoderHidden, decoderLogits } from '../model/graph/decoder.ts';
import { add, gatherRows, mul } from '../model/graph/ops.ts';
import { ropeTables } from '../model/graph/rope.ts';
import { trainingAttention } from './attention.ts';
import { trainingMix } from './training-mix.ts';
import type { Rotations } from './training-mix.ts';
import { CustomGradients } from './autodiff.ts';
import { maskAdapt, trainedTensors } from './mask-adapter.ts';
import { windowOf } from './settings.ts';
import type { TrainingSettings } from './settings.ts';
import { crossEntropy, divergence, weightedSum } from './loss.ts';

/** What a training graph is built for; sizes are fixed, block sizes up to `window` are chosen by the masks. */
export interface TrainingShape {
  readonly batch: number;
  /** S: tokens of each sequence. */
  readonly numTokens: number;
  /** Largest block size; 0 trains AR only, on the clean half alone. */
  readonly window: number;
  /** Mask rows of each sequence; default: as many as tokens. */
  readonly numMaskRows?: number;
  /** Mask rows learn from AR rows too. */
  readonly distills?: boolean;
  /** Rank of the mask rows' adapter. */
  readonly maskAdapterRank?: number;
}

/** The graph that a run's settings need. */
export function shapeOf(settings: TrainingSettings): TrainingShape {
  const { batchSize, numTokens, distillWeight, maskAdapterRank, numMaskRows = numTokens } = settings;
  const window = windowOf(settings);
  const distills = window > 0 && distillWeight > 0;
  return { batch: batchSize, numTokens, window, distills, maskAdapterRank, numMaskRows };
}

export interface LossWeights {
  /** α, of the AR loss. */
  readonly alpha: number;
  /** W, of the divergence from AR rows, where the shape distills. */
  readonly distill: number;
}

export interface LossGraph {
  readonly b: GraphBuilder;
  readonly custom: CustomGradients;
  readonly parameters: ReadonlyMap<string, Value>;
  /** [rows, vocab]: all clean rows of the batch, then all mask rows. */
  readonly logits: Value;
  readonly arLoss: Value;
  /** Absent where AR only is trained. */
  readonly diffusionLoss?: Value;
  /** Kullback-Leibler divergence of mask rows from their AR rows, where the shape distills. */
  readonly distillationLoss?: Value;
  /**
   * 1/(1+α) · (α · arLoss + diffusionLoss), or arLoss alone (section 3.1); with distillation
   * 1/(1+α) · (α · arLoss + (1−W) · diffusionLoss + W · distillationLoss).
   */
  readonly loss: Value;
}

/**
 * The decoder over the paper's doubled sequence, up to its losses. Graph inputs, besides the parameters:
 *   token_ids   int64 [rows]      clean sequences, then the mask sequences
 *   positions   int64 [1, rows]
 *   labels      int64 [rows]
 *   ar_weights, diffusion_weights   float32 [rows]: each row's share of its mean
 *   teacher_rows int64 [rows], teacher_weights   where the shape distills: the clean row of each mask row
 *   causal [S, S], clean_for_masks [batch, M, S], own_block [batch, M, window]   additive masks
 */
export function buildLossGraph(
  config: ModelConfig,
  shape: TrainingShape,
  { alpha, distill }: LossWeights,
): LossGraph {
  const b = new GraphBuilder();
  const custom = new CustomGradients();
  const { batch, numTokens, window, numMaskRows = numTokens, maskAdapterRank = 0 } = shape;
  const numRows = batch * (window === 0 ? numTokens : numTokens + numMaskRows);
  const parameters = parameterInputs(b, config, maskAdapterRank);
  const tokenIds = b.input('token_ids', 'int64', [numRows]);
  const labels = b.input('labels', 'int64', [numRows]);
  const arWeights = b.input('ar_weights', 'float32', [numRows]);
  const causal = b.input('causal', 'float32', [numTokens, numTokens]);
  const masks =
    window === 0
      ? { causal, cleanForMasks: causal, ownBlock: causal }
      : {
          causal,
          cleanForMasks: b.input('clean_for_masks', 'float32', [batch, numMaskRows, numTokens]),
          ownBlock: b.input('own_block', 'float32', [batch, numMaskRows, window]),
        };
  const weight = (name: string): Value => {
    const value = parameters.get(name);
    if (value === undefined) throw new Error(`the model has no parameter ${name}`);
    return value;
  };
  const rotations = rotationsOf(b, config, numRows, numTokens);
  const attend = trainingAttention(b, custom, config, shape, masks);
  const maskTokenId = config.tidar?.maskTokenId;
  const adapt =
    maskAdapterRank > 0 && maskTokenId !== undefined
      ? maskAdapt(b, parameters, { tokenIds, maskTokenId })
      : undefined;
  const mix = trainingMix(b, config, rotations, attend);
  const hidden = decoderHidden(b, config, weight, { tokenIds, mix, adapt });
  const logits = decoderLogits(b, config, weight, hidden);
  const losses = crossEntropy(b, custom, logits, labels);
  const arLoss = weightedSum(b, losses, arWeights);
  const common = { b, custom, parameters, logits, arLoss };
  if (window === 0) return { ...common, loss: arLoss };
  const diffusionWeights = b.input('diffusion_weights', 'float32', [numRows]);
  const diffusionLoss = weightedSum(b, losses, diffusionWeights);
  const total = (maskLoss: Value): Value =>
    mul(b, add(b, mul(b, arLoss, b.scalar(alpha)), maskLoss), b.scalar(1 / (1 + alpha)));
  if (shape.distills !== true) return { ...common, diffusionLoss, loss: total(diffusionLoss) };
  const teacherRows = b.input('teacher_rows', 'int64', [numRows]);
  const divergences = divergence(b, custom, logits, teacherRows);
  const distillationLoss = weightedSum(b, divergences, b.input('teacher_weights', 'float32', [numRows]));
  const mixed = add(
    b,
    mul(b, diffusionLoss, b.scalar(1 - distill)),
    mul(b, distillationLoss, b.scalar(distill)),
  );
  return { ...common, diffusionLoss, distillationLoss, loss: total(mixed) };
}

function parameterInputs(b: GraphBuilder, config: ModelConfig, maskAdapterRank: number): Map<string, Value> {
  return new Map(
    [...trainedTensors(config, { maskAdapterRank })].map(([name, shape]) => [
      name,
      b.input(name, 'float32', shape),
    ]),
  );
}

/** Rotations of every row by its position, 0 … S−1 in both halves. */
function rotationsOf(b: GraphBuilder, config: ModelConfig, numRows: number, numTokens: number): Rotations {
  const tables = ropeTables(numTokens, config.headDim, config.ropeTheta, { scaling: config.ropeScaling });
  const positions = b.input('positions', 'int64', [1, numRows]);
  const rowsOf = (table: Float32Array, width: number): Value =>
    gatherRows(b, b.constant('float32', [numTokens, width], Float32Array.from(table)), positions);
  const half = config.headDim / 2;
  const scales = queryScaleTable(config, numTokens);
  return {
    cos: rowsOf(tables.cos, half),
    sin: rowsOf(tables.sin, half),
    queryScales: scales === undefined ? undefined : rowsOf(scales, 1),
  };
}

/** Ministral 3 multiplies a rotated query by 1 + beta · ln(1 + floor(position / original positions)). */
function queryScaleTable({ queryScaling }: ModelConfig, numTokens: number): Float32Array | undefined {
  if (queryScaling === undefined) return undefined;
  const { beta, originalMaxPositions } = queryScaling;
  return Float32Array.from(
    { length: numTokens },
    (_, position) => 1 + beta * Math.log1p(Math.floor(position / originalMaxPositions)),
  );
}
