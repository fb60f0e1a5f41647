import type { ModelConfig } from '../config.ts';
import type { TensorRef } from '../folder.ts';
import { GraphBuilder } from './builder.ts';
import type { Value } from './builder.ts';
import { decoderHidden, decoderLogits } from './decoder.ts';
import type { Attend } from './decoder.ts';
import { gatherRows, reshape } from './ops.ts';
import { ropeTables } from './rope.ts';
import { serializeModel } from './serialize.ts';

export const cacheName = (kind: 'key' | 'value', layer: number): string => `cache.${layer}.${kind}`;
export const newCacheName = (kind: 'key' | 'value', layer: number): string => `new_cache.${layer}.${kind}`;

/**
 * The serving graph, as an ONNX file whose weights are the folder's own safetensors file. One run takes
 *   token_ids, positions   int64 [rows]
 *   write_index            int64 [1]                 rows land in cache columns [write_index, write_index + rows)
 *   mask                   bool [1, 1, rows, capacity]  which columns each row sees
 *   logit_rows             int64 [logit_rows]        rows whose logits are wanted
 *   cache.<layer>.<key|value>  float32 [1, keyValueHeads, capacity, headDim]
 * and gives logits float32 [logit_rows, vocab] and each cache again: bind the same buffer as input and output,
 * and it is written in place.
 */
export function servingGraph(config: ModelConfig, tensors: ReadonlyMap<string, TensorRef>): Uint8Array {
  const b = new GraphBuilder();
  const tokenIds = b.input('token_ids', 'int64', ['rows']);
  const positions = b.input('positions', 'int64', ['rows']);
  const writeIndex = b.input('write_index', 'int64', [1]);
  const mask = b.input('mask', 'bool', [1, 1, 'rows', 'capacity']);
  const logitRows = b.input('logit_rows', 'int64', ['logit_rows']);
  const weight = weightsFromFile(b, tensors);
  const { cos, sin } = rotaryInputs(b, config, positions);
  const attend = cachedAttention(b, config, writeIndex, mask);
  const inputs = { tokenIds, cos, sin, batch: 1, numRows: 'rows' };
  const hidden = decoderHidden(b, config, weight, inputs, attend);
  b.output('logits', decoderLogits(b, config, weight, gatherRows(b, hidden, logitRows)));
  return serializeModel(b, 'tidar_step');
}

function weightsFromFile(b: GraphBuilder, tensors: ReadonlyMap<string, TensorRef>) {
  const values = new Map<string, Value>();
  return (name: string): Value => {
    const known = values.get(name);
    if (known !== undefined) return known;
    const tensor = tensors.get(name);
    if (tensor === undefined) throw new Error(`the model folder has no tensor ${name}`);
    const value = b.external(tensor);
    values.set(name, value);
    return value;
  };
}

function rotaryInputs(b: GraphBuilder, config: ModelConfig, positions: Value): { cos: Value; sin: Value } {
  const half = config.headDim / 2;
  const tables = ropeTables(config.maxPositions, config.headDim, config.ropeTheta);
  const rows = (data: Float32Array): Value => {
    const table = b.constant('float32', [config.maxPositions, half], data);
    return reshape(b, gatherRows(b, table, reshape(b, positions, [1, 'rows'])), [1, 'rows', half]);
  };
  return { cos: rows(tables.cos), sin: rows(tables.sin) };
}

/** Writes the rows' keys and values into the cache, then attends to every column that the mask allows. */
function cachedAttention(b: GraphBuilder, config: ModelConfig, writeIndex: Value, mask: Value): Attend {
  const shape = [1, config.numKeyValueHeads, 'capacity', config.headDim];
  const scatter = (kind: 'key' | 'value', layer: number, rows: Value): Value => {
    const cache = b.input(cacheName(kind, layer), 'float32', shape);
    const attributes = { axis: -2, mode: 'linear' };
    return b.node('TensorScatter', [cache, rows, writeIndex], { type: 'float32', shape }, attributes);
  };
  return (layer, queries, keys, values) => {
    const cacheKeys = scatter('key', layer, keys);
    const cacheValues = scatter('value', layer, values);
    b.output(newCacheName('key', layer), cacheKeys);
    b.output(newCacheName('value', layer), cacheValues);
    return b.node('Attention', [queries, cacheKeys, cacheValues, mask], {
      type: 'float32',
      shape: queries.shape,
    });
  };
}
