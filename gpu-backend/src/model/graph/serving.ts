import type { ModelConfig } from '../config.ts';
import { adapterTensors } from '../adapter.ts';
import type { Adapter } from '../adapter.ts';
import type { Precision } from '../precision.ts';
import type { QuantizedWeights } from '../quantization/file.ts';
import { commonFolder } from '../weights.ts';
import type { TensorRef } from '../weights.ts';
import { GraphBuilder } from './builder.ts';
import type { Value } from './builder.ts';
import { decoderHidden, decoderLogits, floatProducts } from './decoder.ts';
import type { AddNorm, Mix, WeightSource } from './decoder.ts';
import { quantizedProducts } from './quantized.ts';
import { add, cast, exp, gatherRows, log, MICROSOFT, reduceMax, reduceSum, slice, sub } from './ops.ts';
import { adapterOf } from './adapt.ts';
import { additiveMask, packedMix } from './packed-attention.ts';
import type { Projections } from './packed-attention.ts';
import { positionRows } from './positions.ts';
import { serializeModel } from './serialize.ts';
import { scatteredInputs, scatteredMix } from './webgpu-attention.ts';

export interface ServingOptions {
  /** Whether each row's best logits and its log-sum-exp leave the graph beside the row itself. */
  readonly candidates: boolean;
  /** What the decoder computes in, and keeps keys and values in; absent: float32. Logits are float32 always. */
  readonly precision?: Precision | undefined;
  /** Of which device's ops the graph is made; absent: the CPU's and CUDA's. */
  readonly device?: 'webgpu' | undefined;
}

/** What is served: a model folder, or what a worker is told of it. */
export interface ServedModel {
  readonly config: ModelConfig;
  readonly tensors: ReadonlyMap<string, TensorRef>;
  readonly adapter?: Adapter | undefined;
  /** Products' weights in fewer bits, in place of the folder's own. */
  readonly quantized?: QuantizedWeights | undefined;
}

/**
 * The serving graph, as an ONNX file whose weights are the folder's own safetensors files. One run takes
 *   token_ids, positions   int32 [rows]              packed rows of all sequences
 *   query_places, key_places, value_places, mixed_places   int32, see PackedRows
 *   write_indexes          int64 [batch]             a sequence's rows land in columns [w, w + padded_rows)
 *   mask                   bool [batch, 1, padded_rows, capacity]  which columns each row sees
 *   logit_rows             int32 [logit_rows]        packed rows whose logits are wanted
 *   num_candidates         int64 [1]                 with candidates only
 *   cache.<layer>.<key|value>  in what is computed in [batch, keyValueHeads, capacity, headDim]
 * and gives
 *   logits                 float32 [logit_rows, vocab]
 *   candidate_scores, candidate_ids   float32, int32 (WebGPU: int64) [logit_rows, num_candidates]
 *   log_sum_exp            float32 [logit_rows, 1]
 * and each cache again: bind the same buffer as input and output, and it is written in place.
 */
export function servingGraph(model: ServedModel, options: ServingOptions): Uint8Array {
  const { config, tensors, adapter, quantized } = model;
  const b = new GraphBuilder(options.precision);
  const weight = weightsFromFile(b, tensors, options);
  const tokenIds = b.input('token_ids', 'int32', ['rows']);
  const gatedBy = { tokenIds, maskTokenId: config.tidar?.maskTokenId };
  const adapt = adapter === undefined ? undefined : adapterOf(b, { adapter, tensors }, gatedBy);
  const multiply =
    quantized === undefined ? floatProducts(b, weight) : quantizedProducts(b, weight, quantized.products);
  const mix = mixFor(b, config, options, { multiply, adapt });
  const logitRows = b.input('logit_rows', 'int32', ['logit_rows']);
  const addNorm = fusedAddNorm(b, config);
  const hidden = decoderHidden(b, config, weight, { tokenIds, mix, addNorm, adapt, multiply });
  const head = decoderLogits(b, config, weight, gatherRows(b, hidden, logitRows), multiply);
  const logits = cast(b, head, 'float32');
  b.output('logits', logits);
  if (options.candidates) outputCandidates(b, logits, options);
  return serializeModel(b, 'tidar_step', externalFolder(model));
}

/** The folder that the graph's places of weights are counted from. */
export function externalFolder({ tensors, adapter, quantized }: ServedModel): string {
  const packed = [...(quantized?.products.values() ?? [])].map((product) => product.packed);
  return commonFolder([...tensors.values(), ...adapterTensors(adapter), ...packed]);
}

/** WebGPU has no bfloat16, and an adapter need not have float16: there all are widened once, the token table too. */
function weightsFromFile(
  b: GraphBuilder,
  tensors: ReadonlyMap<string, TensorRef>,
  { device }: ServingOptions,
): WeightSource {
  const values = new Map<string, Value>();
  return (name) => {
    const known = values.get(name);
    if (known !== undefined) return known;
    const tensor = tensors.get(name);
    if (tensor === undefined) throw new Error(`the model folder has no tensor ${name}`);
    const stored = b.external(tensor);
    const value = device === 'webgpu' ? cast(b, stored, 'float32') : stored;
    values.set(name, value);
    return value;
  };
}

function mixFor(
  b: GraphBuilder,
  config: ModelConfig,
  { device }: ServingOptions,
  projections: Projections,
): Mix {
  if (device !== 'webgpu') return packedMix(b, config, rowInputs(b, config), projections);
  const rotations = positionRows(b, config, b.input('positions', 'int32', ['rows']));
  return scatteredMix(b, config, { ...rotations, ...scatteredInputs(b, config) }, projections);
}

function rowInputs(b: GraphBuilder, config: ModelConfig) {
  const { numHeads, numKeyValueHeads } = config;
  const group = numHeads / numKeyValueHeads;
  const positions = b.input('positions', 'int32', ['rows']);
  return {
    ...positionRows(b, config, positions),
    queryPlaces: b.input('query_places', 'int32', ['batch', numKeyValueHeads, 'grouped_rows']),
    keyPlaces: b.input('key_places', 'int32', ['batch', numKeyValueHeads, 'padded_rows']),
    valuePlaces: b.input('value_places', 'int32', ['batch', numKeyValueHeads, 'padded_rows']),
    mixedPlaces: b.input('mixed_places', 'int32', ['rows', numHeads]),
    writeIndexes: b.input('write_indexes', 'int64', ['batch']),
    mask: additiveMask(b, b.input('mask', 'bool', ['batch', 1, 'padded_rows', 'capacity']), group),
  };
}

function fusedAddNorm(b: GraphBuilder, config: ModelConfig): AddNorm {
  const attributes = { epsilon: { float: config.rmsNormEps } };
  return (x, update, scale) => {
    const output = { type: x.type, shape: x.shape };
    const inputs = [x, update, scale];
    const [normed, sum] = b.nodeOfTwo(
      'SkipSimplifiedLayerNormalization',
      inputs,
      [output, output],
      3,
      attributes,
      MICROSOFT,
    );
    return { sum, normed };
  };
}

function outputCandidates(b: GraphBuilder, logits: Value, { device }: ServingOptions): void {
  const count = b.input('num_candidates', 'int64', [1]);
  const shape = ['logit_rows', 'num_candidates'];
  const [scores, ids] = b.nodeOfTwo(
    'TopK',
    [logits, count],
    [
      { type: 'float32', shape },
      { type: 'int64', shape },
    ],
    1,
    { axis: -1, largest: 1, sorted: 1 },
  );
  b.output('candidate_scores', scores);
  b.output('candidate_ids', device === 'webgpu' ? ids : cast(b, ids, 'int32'));
  b.output('log_sum_exp', device === 'webgpu' ? reducedLogSumExp(b, logits) : logSumExp(b, logits));
}

/**
 * [rows, vocab] → [rows, 1], from the first logit and its log-probability. onnxruntime's ReduceLogSumExp takes four
 * times as long and is wrong by 1e-4; sums of exponentials may differ in their last bits from row to row.
 */
function logSumExp(b: GraphBuilder, logits: Value): Value {
  const normalized = b.node('LogSoftmax', [logits], { type: 'float32', shape: logits.shape }, { axis: -1 });
  return sub(b, slice(b, logits, 1, 0, 1), slice(b, normalized, 1, 0, 1));
}

/** The same in ops that WebGPU has. */
function reducedLogSumExp(b: GraphBuilder, logits: Value): Value {
  const most = reduceMax(b, logits, [-1], true);
  return add(b, most, log(b, reduceSum(b, exp(b, sub(b, logits, most)), [-1], true)));
}
