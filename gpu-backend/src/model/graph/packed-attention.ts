import type { ModelConfig } from '../config.ts';
import type { Precision } from '../precision.ts';
import type { Dim, GraphBuilder, Value } from './builder.ts';
import type { Adapt, Mix, Multiply, WeightSource } from './decoder.ts';
import { cast, concat, gatherRows, mul, reshape, rmsNorm, rotary } from './ops.ts';

export const cacheName = (kind: 'key' | 'value', layer: number): string => `cache.${layer}.${kind}`;
export const newCacheName = (kind: 'key' | 'value', layer: number): string => `new_cache.${layer}.${kind}`;

/** What rotates queries and keys by their rows' positions. */
export interface RotatedRows {
  /** float32 [1, rows, headDim / 2] */
  readonly cos: Value;
  readonly sin: Value;
  /** float32 [rows, heads + keyValueHeads, 1], where the config scales queries; 1 for keys. */
  readonly scales?: Value | undefined;
}

/**
 * What one attention needs of a run. Products work on packed rows [rows, …]; only in attention each sequence has its
 * own rows, `padded_rows` of them. `…_places` say where each head's vector is taken from, so that one Gather both
 * pads and brings heads to the front. The query heads that share a key head stand below each other as rows of one
 * product: keys are packed for it once, not once for each of them.
 */
export interface PackedRows extends RotatedRows {
  /** int32 [batch, keyValueHeads, group · padded_rows] into [rows · (heads + keyValueHeads)] */
  readonly queryPlaces: Value;
  /** int32 [batch, keyValueHeads, padded_rows] into the same */
  readonly keyPlaces: Value;
  /** int32 [batch, keyValueHeads, padded_rows] into [rows · keyValueHeads] */
  readonly valuePlaces: Value;
  /** int32 [rows, heads] into [batch · heads · padded_rows] */
  readonly mixedPlaces: Value;
  /** int64 [batch] */
  readonly writeIndexes: Value;
  /** float32 [batch, 1, group · padded_rows, capacity], added to the scores */
  readonly mask: Value;
}

/** How projections are computed. */
export interface Projections {
  readonly multiply: Multiply;
  readonly adapt?: Adapt | undefined;
}

/** Attention over the caches of a batch, which are written in place; their inputs and outputs join the graph. */
export function packedMix(
  b: GraphBuilder,
  config: ModelConfig,
  rows: PackedRows,
  projections: Projections,
): Mix {
  const { numHeads, numKeyValueHeads, headDim } = config;
  return (layer, weight, normed) => {
    const { rotated, values } = packedVectors(b, config, { rows, projections }, { layer, weight, normed });
    const queries = gatherRows(b, rotated, rows.queryPlaces);
    const cacheKeys = scatter(b, config, layer, 'key', gatherRows(b, rotated, rows.keyPlaces), rows);
    const cacheValues = scatter(b, config, layer, 'value', gatherRows(b, values, rows.valuePlaces), rows);
    const mixed = b.node('Attention', [queries, cacheKeys, cacheValues, rows.mask], {
      type: b.precision,
      shape: ['batch', numKeyValueHeads, 'grouped_rows', headDim],
    });
    const packed = gatherRows(b, vectors(b, mixed, headDim), rows.mixedPlaces);
    return reshape(b, packed, ['rows', numHeads * headDim]);
  };
}

/** A layer's new vectors: queries and keys [rows · (heads + keyValueHeads), headDim], values [rows · keyValueHeads, headDim]. */
export function packedVectors(
  b: GraphBuilder,
  config: ModelConfig,
  { rows, projections }: { rows: RotatedRows; projections: Projections },
  { layer, weight, normed }: { layer: number; weight: WeightSource; normed: Value },
): { rotated: Value; values: Value } {
  const { multiply, adapt } = projections;
  const projected = (kinds: readonly Kind[]): Value => {
    const names = (suffix: string): string[] =>
      kinds.map((kind) => `model.layers.${layer}.self_attn.${kind}_proj.${suffix}`);
    const plain = multiply(normed, names('weight'), config.attentionBias ? names('bias') : undefined);
    return adapt === undefined
      ? plain
      : adapt(
          layer,
          kinds.map((kind) => `self_attn.${kind}_proj.weight`),
          normed,
          plain,
        );
  };
  const rotated = rotate(b, config, projected(['q', 'k']), weight, rows);
  return { rotated, values: vectors(b, projected(['v']), config.headDim) };
}

type Kind = 'q' | 'k' | 'v';

/** Queries and keys [rows, (heads + keyValueHeads) · headDim] → rotated, [rows · (heads + keyValueHeads), headDim]. */
function rotate(
  b: GraphBuilder,
  config: ModelConfig,
  x: Value,
  weight: WeightSource,
  rows: RotatedRows,
): Value {
  const numHeads = config.numHeads + config.numKeyValueHeads;
  const width = numHeads * config.headDim;
  const normed = config.queryKeyNorm ? normHeads(b, config, x, weight) : x;
  const rotated = rotary(b, reshape(b, normed, [1, 'rows', width]), rows.cos, rows.sin, numHeads);
  if (rows.scales === undefined) return vectors(b, rotated, config.headDim);
  const heads = reshape(b, rotated, ['rows', numHeads, config.headDim]);
  return vectors(b, mul(b, heads, rows.scales), config.headDim);
}

/** Each head's norm. Queries and keys have a scale each: both are applied by one product. */
function normHeads(b: GraphBuilder, config: ModelConfig, x: Value, weight: WeightSource): Value {
  const { numHeads, numKeyValueHeads, headDim, rmsNormEps } = config;
  const ones = b.floats([headDim], new Float32Array(headDim).fill(1));
  const split = reshape(b, x, ['rows', numHeads + numKeyValueHeads, headDim]);
  const scale = (kind: 'q' | 'k', count: number): Value => {
    const shape = [count, headDim];
    const one = cast(b, weight(`self_attn.${kind}_norm.weight`), 'float32');
    return b.node('Expand', [one, b.list(shape)], { type: 'float32', shape });
  };
  const scales = concat(b, [scale('q', numHeads), scale('k', numKeyValueHeads)], 0);
  // Joined in float32, in which onnxruntime does it once, when it loads the graph.
  return mul(b, rmsNorm(b, split, ones, rmsNormEps), cast(b, scales, b.precision));
}

/** Anything made of whole heads → [·, headDim] */
export function vectors(b: GraphBuilder, x: Value, headDim: number): Value {
  return reshape(b, x, ['vectors', headDim]);
}

function scatter(
  b: GraphBuilder,
  config: ModelConfig,
  layer: number,
  kind: 'key' | 'value',
  rows: Value,
  { writeIndexes }: PackedRows,
): Value {
  const shape: readonly Dim[] = ['batch', config.numKeyValueHeads, 'capacity', config.headDim];
  const cache = b.input(cacheName(kind, layer), b.precision, shape);
  const attributes = { axis: -2, mode: 'linear' };
  const output = { type: b.precision, shape } as const;
  const written = b.node('TensorScatter', [cache, rows, writeIndexes], output, attributes);
  b.output(newCacheName(kind, layer), written);
  return written;
}

/** The lowest finite numbers. */
const LOWEST: Readonly<Record<Precision, number>> = {
  float32: -3.4028234663852886e38,
  float16: -65504,
  bfloat16: -3.3895313892515355e38,
};

/**
 * bool [batch, 1, padded_rows, capacity] → what attention adds to the scores, for each head of a group below each
 * other. Attention would convert a bool mask itself, but again in every layer.
 */
export function additiveMask(b: GraphBuilder, mask: Value, group: number): Value {
  const lowest = b.scalar(LOWEST[b.precision]);
  const added = b.node('Where', [mask, b.scalar(0), lowest], { type: b.precision, shape: mask.shape });
  if (group === 1) return added;
  const shape = ['batch', 1, 'grouped_rows', 'capacity'];
  return b.node(
    'Concat',
    Array.from({ length: group }, () => added),
    { type: b.precision, shape },
    { axis: 2 },
  );
}
