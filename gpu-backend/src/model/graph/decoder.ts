import type { ModelConfig } from '../config.ts';
import type { Dim, GraphBuilder, Value } from './builder.ts';
import { add, cast, gatherRows, gemm, mul, reshape, rmsNorm, rotary, silu, transpose } from './ops.ts';

/** Where a graph gets its weights from: mapped files when serving, graph inputs when training. */
export type WeightSource = (name: string) => Value;

/**
 * How one layer's rows attend. Queries and keys are rotated.
 * queries [batch, heads, rows, headDim]; keys, values [batch, keyValueHeads, rows, headDim]
 * → [batch, heads, rows, headDim].
 */
export type Attend = (layer: number, queries: Value, keys: Value, values: Value) => Value;

export interface DecoderInputs {
  /** int64 [batch · rows] */
  readonly tokenIds: Value;
  /** [batch, rows, headDim / 2] */
  readonly cos: Value;
  readonly sin: Value;
  readonly batch: number;
  readonly numRows: Dim;
}

/**
 * The transformer up to its last norm: one definition, used by serving and by training.
 * Returns hidden states [batch · rows, hidden].
 */
export function decoderHidden(
  b: GraphBuilder,
  config: ModelConfig,
  weight: WeightSource,
  inputs: DecoderInputs,
  attend: Attend,
): Value {
  let hidden = cast(b, gatherRows(b, weight('model.embed_tokens.weight'), inputs.tokenIds), 'float32');
  for (let layer = 0; layer < config.numLayers; layer += 1) {
    const scoped: WeightSource = (name) => weight(`model.layers.${layer}.${name}`);
    const normed = norm(b, config, hidden, scoped('input_layernorm.weight'));
    hidden = add(b, hidden, attention(b, config, scoped, inputs, normed, attend, layer));
    const normedAgain = norm(b, config, hidden, scoped('post_attention_layernorm.weight'));
    hidden = add(b, hidden, feedForward(b, scoped, normedAgain));
  }
  return hidden;
}

/** Final norm and head: hidden [rows, hidden] → logits [rows, vocab]. */
export function decoderLogits(
  b: GraphBuilder,
  config: ModelConfig,
  weight: WeightSource,
  hidden: Value,
): Value {
  const normed = norm(b, config, hidden, weight('model.norm.weight'));
  const head = config.tieWordEmbeddings ? 'model.embed_tokens.weight' : 'lm_head.weight';
  return linear(b, normed, weight(head));
}

function attention(
  b: GraphBuilder,
  config: ModelConfig,
  weight: WeightSource,
  inputs: DecoderInputs,
  normed: Value,
  attend: Attend,
  layer: number,
): Value {
  const heads = (kind: 'q' | 'k' | 'v', numHeads: number): Value => {
    const bias = config.attentionBias ? weight(`self_attn.${kind}_proj.bias`) : undefined;
    const projected = linear(b, normed, weight(`self_attn.${kind}_proj.weight`), bias);
    return splitHeads(b, projected, inputs, numHeads, config.headDim);
  };
  const positioned = (kind: 'q' | 'k', numHeads: number): Value => {
    const split = heads(kind, numHeads);
    const normedHeads = config.queryKeyNorm
      ? norm(b, config, split, weight(`self_attn.${kind}_norm.weight`))
      : split;
    return rotary(b, byHead(b, normedHeads), inputs.cos, inputs.sin);
  };
  const queries = positioned('q', config.numHeads);
  const keys = positioned('k', config.numKeyValueHeads);
  const values = byHead(b, heads('v', config.numKeyValueHeads));
  const mixed = transpose(b, attend(layer, queries, keys, values), [0, 2, 1, 3]);
  const merged = mergeHeads(b, mixed, inputs, config.numHeads * config.headDim);
  return linear(b, merged, weight('self_attn.o_proj.weight'));
}

function feedForward(b: GraphBuilder, weight: WeightSource, normed: Value): Value {
  const gate = silu(b, linear(b, normed, weight('mlp.gate_proj.weight')));
  const up = linear(b, normed, weight('mlp.up_proj.weight'));
  return linear(b, mul(b, gate, up), weight('mlp.down_proj.weight'));
}

function norm(b: GraphBuilder, config: ModelConfig, x: Value, scale: Value): Value {
  return rmsNorm(b, x, cast(b, scale, 'float32'), config.rmsNormEps);
}

/** x · weightᵀ + bias, the weight in Hugging Face's [out, in] layout. */
function linear(b: GraphBuilder, x: Value, weight: Value, bias?: Value): Value {
  const floatBias = bias === undefined ? undefined : cast(b, bias, 'float32');
  return gemm(b, x, cast(b, weight, 'float32'), { transY: true, bias: floatBias });
}

/** [batch · rows, heads · headDim] → [batch, rows, heads, headDim] */
function splitHeads(b: GraphBuilder, x: Value, inputs: DecoderInputs, numHeads: number, headDim: number) {
  return reshape(b, x, [inputs.batch, inputs.numRows, numHeads, headDim]);
}

/** [batch, rows, heads, headDim] → [batch, heads, rows, headDim] */
function byHead(b: GraphBuilder, x: Value): Value {
  return transpose(b, x, [0, 2, 1, 3]);
}

/** [batch, rows, heads, headDim] → [batch · rows, heads · headDim] */
function mergeHeads(b: GraphBuilder, x: Value, inputs: DecoderInputs, width: number): Value {
  const rows = typeof inputs.numRows === 'number' ? inputs.batch * inputs.numRows : inputs.numRows;
  return reshape(b, x, [rows, width]);
}
