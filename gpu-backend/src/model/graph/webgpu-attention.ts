import type { ModelConfig } from '../config.ts';
import type { GraphBuilder, Value } from './builder.ts';
import type { Mix } from './decoder.ts';
import { add, gatherRows, matMul, mul, reshape, softmax, transpose } from './ops.ts';
import { additiveMask, cacheName, newCacheName, packedVectors, vectors } from './packed-attention.ts';
import type { Projections, RotatedRows } from './packed-attention.ts';

/**
 * Attention in ops that onnxruntime has for WebGPU, which lacks TensorScatter and opset 24's Attention. A cache is one
 * table of columns, [slots · keyValueHeads · capacity, headDim]: rows are scattered to their places in it, each alone,
 * without padding.
 */
export interface ScatteredRows extends RotatedRows {
  /** int32 [batch, keyValueHeads, group · padded_rows] into [rows · (heads + keyValueHeads)] */
  readonly queryPlaces: Value;
  /** int32 [rows · keyValueHeads] into the same */
  readonly keyRows: Value;
  /** int32 [rows · keyValueHeads, headDim]: the cache's column that each new one becomes, once for each element */
  readonly cachePlaces: Value;
  /** int64 [4]: batch, keyValueHeads, capacity, headDim */
  readonly cacheShape: Value;
  /** int32 [rows, heads] into [batch · heads · padded_rows] */
  readonly mixedPlaces: Value;
  /** float32 [batch, 1, group · padded_rows, capacity], added to the scores */
  readonly mask: Value;
}

/** What a run gives the attention of, as graph inputs. */
export function scatteredInputs(
  b: GraphBuilder,
  { numHeads, numKeyValueHeads, headDim }: ModelConfig,
): Omit<ScatteredRows, keyof RotatedRows> {
  const places = b.input('cache_places', 'int32', ['new_columns', 1]);
  const group = numHeads / numKeyValueHeads;
  return {
    queryPlaces: b.input('query_places', 'int32', ['batch', numKeyValueHeads, 'grouped_rows']),
    keyRows: b.input('key_rows', 'int32', ['new_columns']),
    cachePlaces: b.node('Expand', [places, b.list([1, headDim])], {
      type: 'int32',
      shape: ['new_columns', headDim],
    }),
    cacheShape: b.input('cache_shape', 'int64', [4]),
    mixedPlaces: b.input('mixed_places', 'int32', ['rows', numHeads]),
    mask: additiveMask(b, b.input('mask', 'bool', ['batch', 1, 'padded_rows', 'capacity']), group),
  };
}

export function scatteredMix(
  b: GraphBuilder,
  config: ModelConfig,
  rows: ScatteredRows,
  projections: Projections,
): Mix {
  const { numHeads, headDim } = config;
  const scale = b.scalar(1 / Math.sqrt(headDim));
  return (layer, weight, normed) => {
    const { rotated, values } = packedVectors(b, config, { rows, projections }, { layer, weight, normed });
    const queries = mul(b, gatherRows(b, rotated, rows.queryPlaces), scale);
    const keys = scatter(b, config, cacheName('key', layer), newCacheName('key', layer), {
      columns: gatherRows(b, rotated, rows.keyRows),
      rows,
    });
    const cacheValues = scatter(b, config, cacheName('value', layer), newCacheName('value', layer), {
      columns: values,
      rows,
    });
    const scores = add(b, matMul(b, queries, transpose(b, keys, [0, 1, 3, 2])), rows.mask);
    const mixed = matMul(b, softmax(b, scores), cacheValues);
    const packed = gatherRows(b, vectors(b, mixed, headDim), rows.mixedPlaces);
    return reshape(b, packed, ['rows', numHeads * headDim]);
  };
}

/** Writes columns to the cache, in place, and gives all of it as [batch, keyValueHeads, capacity, headDim]. */
function scatter(
  b: GraphBuilder,
  { numKeyValueHeads, headDim }: ModelConfig,
  input: string,
  output: string,
  { columns, rows }: { columns: Value; rows: ScatteredRows },
): Value {
  const type = 'float32';
  const cache = b.input(input, type, ['columns', headDim]);
  const inputs = [cache, rows.cachePlaces, columns];
  const written = b.node('ScatterElements', inputs, { type, shape: cache.shape }, { axis: 0 });
  b.output(output, written);
  const shape = ['batch', numKeyValueHeads, 'capacity', headDim];
  return b.node('Reshape', [written, rows.cacheShape], { type, shape });
}
