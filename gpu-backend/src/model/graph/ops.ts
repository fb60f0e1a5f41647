import { TYPE_NUMBERS } from './builder.ts';
import type { Dim, GraphBuilder, Value } from './builder.ts';

/** Thin, shape-tracking wrappers of the ONNX ops that the decoder and its gradients are made of. */

export const MICROSOFT = 'com.microsoft';

export function broadcastShapes(a: readonly Dim[], b: readonly Dim[]): Dim[] {
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, axis) => {
    const left = a[axis - rank + a.length] ?? 1;
    const right = b[axis - rank + b.length] ?? 1;
    if (left === right || right === 1) return left;
    if (left === 1) return right;
    throw new Error(`shapes [${a.join(', ')}] and [${b.join(', ')}] do not broadcast`);
  });
}

/** The size at `axis` (negative counts from the end), which must exist. */
export function dimAt(value: Value, axis: number): Dim {
  const dim = value.shape.at(axis);
  if (dim === undefined) throw new Error(`${value.name} has no axis ${axis}`);
  return dim;
}

export function fixedDimAt(value: Value, axis: number): number {
  const dim = dimAt(value, axis);
  if (typeof dim !== 'number') throw new Error(`axis ${axis} of ${value.name} has no fixed size`);
  return dim;
}

function binary(opType: string) {
  return (b: GraphBuilder, x: Value, y: Value): Value =>
    b.node(opType, [x, y], { type: x.type, shape: broadcastShapes(x.shape, y.shape) });
}
export const add = binary('Add');
export const sub = binary('Sub');
export const mul = binary('Mul');
export const div = binary('Div');

function unary(opType: string) {
  return (b: GraphBuilder, x: Value): Value => b.node(opType, [x], { type: x.type, shape: x.shape });
}
export const neg = unary('Neg');
export const exp = unary('Exp');
export const log = unary('Log');
export const sqrt = unary('Sqrt');
export const sigmoid = unary('Sigmoid');
export const reciprocal = unary('Reciprocal');

export function cast(b: GraphBuilder, x: Value, type: keyof typeof TYPE_NUMBERS): Value {
  if (x.type === type) return x;
  return b.node('Cast', [x], { type, shape: x.shape }, { to: TYPE_NUMBERS[type] });
}

/** alpha · op(x) · op(y) [+ bias] for matrices; `transX` and `transY` read them transposed. */
export function gemm(
  b: GraphBuilder,
  x: Value,
  y: Value,
  options: { transX?: boolean; transY?: boolean; bias?: Value | undefined } = {},
): Value {
  const rows = dimAt(x, options.transX === true ? 1 : 0);
  const columns = dimAt(y, options.transY === true ? 0 : 1);
  const inputs = options.bias === undefined ? [x, y] : [x, y, options.bias];
  const attributes = { transA: options.transX === true ? 1 : 0, transB: options.transY === true ? 1 : 0 };
  return b.node('Gemm', inputs, { type: x.type, shape: [rows, columns] }, attributes);
}

/** x · y over leading batch axes, which must be equal. */
export function matMul(b: GraphBuilder, x: Value, y: Value): Value {
  const shape = [...x.shape.slice(0, -1), dimAt(y, -1)];
  return b.node('MatMul', [x, y], { type: x.type, shape });
}

/** alpha · op(x) · op(y) over leading batch axes, which must be equal. */
export function batchedMatMul(
  b: GraphBuilder,
  x: Value,
  y: Value,
  options: { transX?: boolean; transY?: boolean; alpha?: number } = {},
): Value {
  const rows = dimAt(x, options.transX === true ? -1 : -2);
  const columns = dimAt(y, options.transY === true ? -2 : -1);
  return b.node(
    'FusedMatMul',
    [x, y],
    { type: x.type, shape: [...x.shape.slice(0, -2), rows, columns] },
    {
      transA: options.transX === true ? 1 : 0,
      transB: options.transY === true ? 1 : 0,
      alpha: { float: options.alpha ?? 1 },
    },
    MICROSOFT,
  );
}

/**
 * Reshapes to `shape`. A named dimension must stand at the same axis in `x` (it is written as 0, "keep"),
 * or be the only one that is inferred (-1): constant shapes keep every node off the CPU on a GPU.
 */
export function reshape(b: GraphBuilder, x: Value, shape: readonly Dim[]): Value {
  const sizes = shape.map((dim, axis) => {
    if (typeof dim === 'number') return dim;
    return x.shape[axis] === dim ? 0 : -1;
  });
  if (sizes.filter((size) => size === -1).length > 1) {
    throw new Error(`cannot reshape [${x.shape.join(', ')}] to [${shape.join(', ')}]`);
  }
  return b.node('Reshape', [x, b.list(sizes)], { type: x.type, shape });
}

export function transpose(b: GraphBuilder, x: Value, perm: readonly number[]): Value {
  const shape = perm.map((axis) => dimAt(x, axis));
  return b.node('Transpose', [x], { type: x.type, shape }, { perm });
}

export function concat(b: GraphBuilder, values: readonly Value[], axis: number): Value {
  const first = values[0];
  if (first === undefined) throw new Error('concat needs at least one value');
  const position = axis < 0 ? axis + first.shape.length : axis;
  const total = values.reduce((sum, value) => sum + fixedDimAt(value, position), 0);
  const shape = first.shape.map((dim, at) => (at === position ? total : dim));
  return b.node('Concat', values, { type: first.type, shape }, { axis: position });
}

/** The half-open range [start, end) along `axis`. */
export function slice(b: GraphBuilder, x: Value, axis: number, start: number, end: number): Value {
  const position = axis < 0 ? axis + x.shape.length : axis;
  const shape = x.shape.map((dim, at) => (at === position ? end - start : dim));
  return b.node('Slice', [x, b.list([start]), b.list([end]), b.list([position])], { type: x.type, shape });
}

/** Rows of `table` by `indices`, int32 or int64. */
export function gatherRows(b: GraphBuilder, table: Value, indices: Value): Value {
  const shape = [...indices.shape, ...table.shape.slice(1)];
  return b.node('Gather', [table, indices], { type: table.type, shape }, { axis: 0 });
}

export function reduceSum(b: GraphBuilder, x: Value, axes: readonly number[], keepDims: boolean): Value {
  return reduce(b, 'ReduceSum', x, axes, keepDims);
}

export function reduceMax(b: GraphBuilder, x: Value, axes: readonly number[], keepDims: boolean): Value {
  return reduce(b, 'ReduceMax', x, axes, keepDims);
}

export function reduceMean(b: GraphBuilder, x: Value, axes: readonly number[], keepDims: boolean): Value {
  return reduce(b, 'ReduceMean', x, axes, keepDims);
}

function reduce(b: GraphBuilder, opType: string, x: Value, axes: readonly number[], keepDims: boolean) {
  const reduced = new Set(axes.map((axis) => (axis < 0 ? axis + x.shape.length : axis)));
  const shape = x.shape.flatMap((dim, axis) => (reduced.has(axis) ? (keepDims ? [1] : []) : [dim]));
  return b.node(opType, [x, b.list([...reduced])], { type: x.type, shape }, { keepdims: keepDims ? 1 : 0 });
}

export function softmax(b: GraphBuilder, x: Value): Value {
  return b.node('Softmax', [x], { type: x.type, shape: x.shape }, { axis: -1 });
}

/** Root-mean-square norm over the last axis, times `scale` (section 3.1's backbone; Llama's norm). */
export function rmsNorm(b: GraphBuilder, x: Value, scale: Value, epsilon: number): Value {
  return b.node(
    'RMSNormalization',
    [x, scale],
    { type: x.type, shape: x.shape },
    { axis: -1, epsilon: { float: epsilon } },
  );
}

/**
 * Half-split rotary embedding by cos and sin [batch, rows, headDim / 2] of x, which is [batch, heads, rows, headDim]
 * or, where `numHeads` says how many, [batch, rows, heads · headDim].
 */
export function rotary(b: GraphBuilder, x: Value, cos: Value, sin: Value, numHeads?: number): Value {
  const attributes: Record<string, number> = numHeads === undefined ? {} : { num_heads: numHeads };
  return b.node('RotaryEmbedding', [x, cos, sin], { type: x.type, shape: x.shape }, attributes);
}

export function silu(b: GraphBuilder, x: Value): Value {
  return mul(b, x, sigmoid(b, x));
}
