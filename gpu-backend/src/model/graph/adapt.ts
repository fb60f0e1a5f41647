import type { Adapter, LowRank } from '../adapter.ts';
import type { TensorRef } from '../weights.ts';
import type { GraphBuilder, Value } from './builder.ts';
import type { Adapt } from './decoder.ts';
import { linear } from './decoder.ts';
import { add, cast, concat, fixedDimAt, mul, reshape } from './ops.ts';

export interface AdaptedRows {
  readonly tokenIds: Value;
  readonly maskTokenId: number | undefined;
}

/**
 * An adapter beside the weights: x · Wᵀ + gate · scale · (x · Aᵀ) · Bᵀ, gate [rows, 1]. Where its rows are masks, the
 * gate is 1 for the rows that hold the mask token and 0 for all others, to which exactly 0 is added: one pass drafts
 * with the adapter and verifies without it. (A prompt that holds the mask token itself counts as masks there, in every
 * way of decoding alike.) A product of several weights has one A and one B, joined once, when onnxruntime loads the
 * graph: to join their parts at each run, CUDA would copy lists of places to the GPU.
 */
export function adapterOf(
  b: GraphBuilder,
  { adapter, tensors }: { adapter: Adapter; tensors: ReadonlyMap<string, TensorRef> },
  rows: AdaptedRows,
): Adapt {
  const gate = adapter.rows === 'all' ? undefined : maskGate(b, rows.tokenIds, rows.maskTokenId ?? -1);
  return (layer, weights, input, product) => {
    const parts = weights.map((weight): Part => {
      const name = `model.layers.${layer}.${weight}`;
      return { numOutputs: tensors.get(name)?.shape[0] ?? 0, pair: adapter.weights.get(name) };
    });
    const pairs = parts.flatMap(({ pair }) => (pair === undefined ? [] : [pair]));
    if (pairs.length === 0) return product;
    const first = joined(
      b,
      pairs.map(({ a }) => cast(b, b.external(a), b.precision)),
      0,
    );
    const scales = scalesOf(b, pairs);
    const low = mul(b, linear(b, input, first), gate === undefined ? scales : mul(b, gate, scales));
    return add(b, product, linear(b, low, joinedSecond(b, parts, fixedDimAt(first, 0))));
  };
}

/** One of the weights of a product, and what the adapter has for it. */
interface Part {
  readonly numOutputs: number;
  readonly pair: LowRank | undefined;
}

function joined(b: GraphBuilder, parts: readonly Value[], axis: number): Value {
  const [only] = parts;
  return parts.length === 1 && only !== undefined ? only : concat(b, parts, axis);
}

/** One number, or one for each row of the joined A. */
function scalesOf(b: GraphBuilder, pairs: readonly LowRank[]): Value {
  const [first] = pairs;
  if (first !== undefined && pairs.length === 1) return b.scalar(first.scale);
  const all = pairs.flatMap(({ a, scale }) => new Array<number>(a.shape[0] ?? 0).fill(scale));
  return b.floats([all.length], Float32Array.from(all));
}

/**
 * Every B below the others, each right of those before it, and zeros elsewhere: [all outputs, all ranks]. Joined in
 * float32, in which onnxruntime does it once, when it loads the graph.
 */
function joinedSecond(b: GraphBuilder, parts: readonly Part[], numRanks: number): Value {
  let start = 0;
  const rows = parts.map(({ numOutputs, pair }) => {
    if (pair === undefined) return zeros(b, numOutputs, numRanks);
    const own = cast(b, b.external(pair.b), 'float32');
    const end = start + fixedDimAt(own, 1);
    const sides = [zeros(b, numOutputs, start), own, zeros(b, numOutputs, numRanks - end)];
    start = end;
    return joined(
      b,
      sides.filter((side) => fixedDimAt(side, 1) > 0),
      1,
    );
  });
  return cast(b, joined(b, rows, 0), b.precision);
}

function zeros(b: GraphBuilder, numRows: number, numColumns: number): Value {
  const shape = [numRows, numColumns];
  const zero = b.constant('float32', [], Float32Array.of(0));
  return b.node('Expand', [zero, b.list(shape)], { type: 'float32', shape });
}

/** int32 [rows] → [rows, 1] */
function maskGate(b: GraphBuilder, tokenIds: Value, maskTokenId: number): Value {
  const mask = b.constant('int32', [], Int32Array.of(maskTokenId));
  const isMask = b.node('Equal', [tokenIds, mask], { type: 'bool', shape: tokenIds.shape });
  return reshape(b, cast(b, isMask, b.precision), ['rows', 1]);
}
