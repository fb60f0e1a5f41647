import type { ModelConfig } from '../config.ts';
import type { GraphBuilder, Value } from './builder.ts';
import { add, cast, concat, gatherRows, gemm, mul, rmsNorm, silu } from './ops.ts';

/** Where a graph gets its weights from: mapped files when serving, graph inputs when training. */
export type WeightSource = (name: string) => Value;

/**
 * One layer's attention, from projections to mixed values: normed [rows, hidden] → [rows, heads · headDim].
 * `weight` knows the layer's tensors by their names within it.
 */
export type Mix = (layer: number, weight: WeightSource, normed: Value) => Value;

/** A sum and its norm; serving has one kernel for both, which has no gradient. */
export type AddNorm = (x: Value, update: Value, scale: Value) => { sum: Value; normed: Value };

/**
 * Adds to a product of a layer's weights below each other, ["self_attn.o_proj.weight"] say, what an adapter has for
 * them: input [rows, in], product [rows, all their outputs] → the same.
 */
export type Adapt = (layer: number, weights: readonly string[], input: Value, product: Value) => Value;

/**
 * x · wᵀ + bias for weights below each other, by their whole names: [rows, in] → [rows, all their outputs]. Serving may
 * have them in fewer bits.
 */
export type Multiply = (x: Value, weights: readonly string[], biases?: readonly string[]) => Value;

export interface DecoderParts {
  /** int32 or int64 [rows] */
  readonly tokenIds: Value;
  readonly mix: Mix;
  readonly addNorm?: AddNorm;
  readonly adapt?: Adapt | undefined;
  readonly multiply?: Multiply;
}

/**
 * The transformer up to its last norm: one definition, used by serving and by training.
 * Returns hidden states [rows, hidden].
 */
export function decoderHidden(
  b: GraphBuilder,
  config: ModelConfig,
  weight: WeightSource,
  parts: DecoderParts,
): Value {
  const { addNorm = plainAddNorm(b, config), multiply = floatProducts(b, weight) } = parts;
  let hidden = cast(b, gatherRows(b, weight('model.embed_tokens.weight'), parts.tokenIds), b.precision);
  let update: Value | undefined;
  for (let layer = 0; layer < config.numLayers; layer += 1) {
    const scoped: WeightSource = (name) => weight(`model.layers.${layer}.${name}`);
    const before = joined(b, config, addNorm, hidden, update, scoped('input_layernorm.weight'));
    const product: Product = (name, x) => {
      const plain = multiply(x, [`model.layers.${layer}.${name}`]);
      return parts.adapt === undefined ? plain : parts.adapt(layer, [name], x, plain);
    };
    const mixed = product('self_attn.o_proj.weight', parts.mix(layer, scoped, before.normed));
    const between = joined(b, config, addNorm, before.sum, mixed, scoped('post_attention_layernorm.weight'));
    hidden = between.sum;
    update = feedForward(b, product, between.normed);
  }
  return update === undefined ? hidden : add(b, hidden, update);
}

/** Final norm and head: hidden [rows, hidden] → logits [rows, vocab]. */
export function decoderLogits(
  b: GraphBuilder,
  config: ModelConfig,
  weight: WeightSource,
  hidden: Value,
  multiply: Multiply = floatProducts(b, weight),
): Value {
  const normed = norm(b, config, hidden, weight('model.norm.weight'));
  const head = config.tieWordEmbeddings ? 'model.embed_tokens.weight' : 'lm_head.weight';
  return multiply(normed, [head]);
}

/** Products of weights as they are; several are joined once, when onnxruntime loads the graph. */
export function floatProducts(b: GraphBuilder, weight: WeightSource): Multiply {
  const joined = (names: readonly string[]): Value => joinedRows(b, weight, names);
  return (x, weights, biases) =>
    linear(b, x, joined(weights), biases === undefined ? undefined : joined(biases));
}

/** Tensors below each other, in what the decoder computes in. */
export function joinedRows(b: GraphBuilder, weight: WeightSource, names: readonly string[]): Value {
  const parts = names.map((name) => cast(b, weight(name), b.precision));
  const [only] = parts;
  return parts.length === 1 && only !== undefined ? only : concat(b, parts, 0);
}

/** x [rows, in] times one of a layer's weights, as an adapter has it. */
type Product = (weight: string, x: Value) => Value;

function feedForward(b: GraphBuilder, product: Product, normed: Value): Value {
  const gate = silu(b, product('mlp.gate_proj.weight', normed));
  const up = product('mlp.up_proj.weight', normed);
  return product('mlp.down_proj.weight', mul(b, gate, up));
}

/** The residual stream after `update` (the first layer has none yet), and its norm. */
function joined(
  b: GraphBuilder,
  config: ModelConfig,
  addNorm: AddNorm,
  hidden: Value,
  update: Value | undefined,
  scale: Value,
): { sum: Value; normed: Value } {
  if (update === undefined) return { sum: hidden, normed: norm(b, config, hidden, scale) };
  return addNorm(hidden, update, cast(b, scale, b.precision));
}

function plainAddNorm(b: GraphBuilder, config: ModelConfig): AddNorm {
  return (x, update, scale) => {
    const sum = add(b, x, update);
    return { sum, normed: rmsNorm(b, sum, scale, config.rmsNormEps) };
  };
}

function norm(b: GraphBuilder, config: ModelConfig, x: Value, scale: Value): Value {
  return rmsNorm(b, x, cast(b, scale, b.precision), config.rmsNormEps);
}

/** x · weightᵀ + bias, the weight in Hugging Face's [out, in] layout. */
export function linear(b: GraphBuilder, x: Value, weight: Value, bias?: Value): Value {
  const floatBias = bias === undefined ? undefined : cast(b, bias, b.precision);
  return gemm(b, x, cast(b, weight, b.precision), { transY: true, bias: floatBias });
}
