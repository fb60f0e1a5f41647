import type { Adapter } from '../adapter.ts';
import type { TensorRef } from '../weights.ts';
import type { GraphBuilder, Value } from './builder.ts';
import type { Adapt } from './decoder.ts';
import { linear } from './decoder.ts';
import { add, cast, mul, reshape } from './ops.ts';

/**
 * An adapter beside the weights: x · Wᵀ + gate · scale · (x · Aᵀ) · Bᵀ, gate [rows, 1]. Where its rows are masks, the
 * gate is 1 for the rows that hold the mask token and 0 for all others, to which exactly 0 is added: one pass drafts
 * with the adapter and verifies without it. (A prompt that holds the mask token itself counts as masks there, in every
 * way of decoding alike.)
 */
export function adapterOf(
  b: GraphBuilder,
  adapter: Adapter,
  rows: { tokenIds: Value; maskTokenId: number | undefined },
): Adapt {
  const gate = adapter.rows === 'all' ? undefined : maskGate(b, rows.tokenIds, rows.maskTokenId ?? -1);
  const factor = (tensor: TensorRef): Value => cast(b, b.external(tensor), 'float32');
  return (layer, weight, input, product) => {
    const pair = adapter.weights.get(`model.layers.${layer}.${weight}`);
    if (pair === undefined) return product;
    const scale = b.scalar(pair.scale);
    const low = linear(b, input, factor(pair.a));
    const added = linear(b, mul(b, low, gate === undefined ? scale : mul(b, gate, scale)), factor(pair.b));
    return add(b, product, added);
  };
}

/** int32 [rows] → float32 [rows, 1] */
function maskGate(b: GraphBuilder, tokenIds: Value, maskTokenId: number): Value {
  const mask = b.constant('int32', [], Int32Array.of(maskTokenId));
  const isMask = b.node('Equal', [tokenIds, mask], { type: 'bool', shape: tokenIds.shape });
  return reshape(b, cast(b, isMask, 'float32'), ['rows', 1]);
}
