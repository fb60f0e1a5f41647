import type { Dim, GraphBuilder, GraphNode, Value } from '../model/graph/builder.ts';
import {
  add,
  batchedMatMul,
  fixedDimAt,
  gemm,
  mul,
  neg,
  reciprocal,
  reduceSum,
  reshape,
  rotary,
  slice,
  sqrt,
  sub,
  transpose,
} from '../model/graph/ops.ts';

/** The gradients of a node's inputs, given that of its output; undefined where an input has none. */
export type GradientRule = (
  b: GraphBuilder,
  node: GraphNode,
  gradient: Value,
) => readonly (Value | undefined)[];

/** One rule for each op that a training graph may hold between a parameter and the loss. */
export const GRADIENT_RULES: Readonly<Record<string, GradientRule>> = {
  Add: (b, node, gradient) => node.inputs.map((input) => reduceTo(b, gradient, input.shape)),
  Sub: (b, node, gradient) => [
    reduceTo(b, gradient, inputAt(node, 0).shape),
    reduceTo(b, neg(b, gradient), inputAt(node, 1).shape),
  ],
  Mul: (b, node, gradient) => {
    const [x, y] = [inputAt(node, 0), inputAt(node, 1)];
    if (isSigmoidOf(b, y, x)) return [siluGradient(b, node, gradient), undefined];
    return [reduceTo(b, mul(b, gradient, y), x.shape), reduceTo(b, mul(b, gradient, x), y.shape)];
  },
  Neg: (b, _node, gradient) => [neg(b, gradient)],
  Sigmoid: (b, node, gradient) => {
    const y = outputOf(node);
    return [mul(b, gradient, mul(b, y, sub(b, b.scalar(1), y)))];
  },
  Softmax: (b, node, gradient) => {
    const y = outputOf(node);
    const weighted = mul(b, gradient, y);
    return [sub(b, weighted, mul(b, y, reduceSum(b, weighted, [-1], true)))];
  },
  ReduceSum: (b, node, gradient) => [expandLike(b, gradient, inputAt(node, 0), node)],
  Reshape: (b, node, gradient) => [reshape(b, gradient, inputAt(node, 0).shape)],
  Transpose: (b, node, gradient) => {
    const perm = node.attributes['perm'];
    if (!Array.isArray(perm)) throw new Error('Transpose without perm');
    return [transpose(b, gradient, inverse(perm))];
  },
  Concat: (b, node, gradient) => concatGradient(b, node, gradient),
  Gemm: (b, node, gradient) => gemmGradient(b, node, gradient),
  FusedMatMul: (b, node, gradient) => batchedMatMulGradient(b, node, gradient),
  Gather: (b, node, gradient) => [gatherGradient(b, node, gradient), undefined],
  RMSNormalization: (b, node, gradient) => rmsNormGradient(b, node, gradient),
  // A rotation's transpose is the rotation back.
  RotaryEmbedding: (b, node, gradient) => [
    rotary(b, gradient, inputAt(node, 1), neg(b, inputAt(node, 2)), numHeadsOf(node)),
    undefined,
    undefined,
  ],
};

function inputAt(node: GraphNode, index: number): Value {
  const value = node.inputs[index];
  if (value === undefined) throw new Error(`${node.opType} has no input ${index}`);
  return value;
}

function outputOf(node: GraphNode): Value {
  const value = node.outputs[0];
  if (value === undefined) throw new Error(`${node.opType} has no output`);
  return value;
}

function numHeadsOf(node: GraphNode): number | undefined {
  const numHeads = node.attributes['num_heads'];
  return typeof numHeads === 'number' ? numHeads : undefined;
}

function isSigmoidOf(b: GraphBuilder, y: Value, x: Value): boolean {
  const producer = b.nodes.find((node) => node.outputs[0]?.name === y.name);
  return producer?.opType === 'Sigmoid' && producer.inputs[0]?.name === x.name;
}

/** Of y = x · s, s = sigmoid(x): dx = d + d · (x − y) with d = dy · s, in half the steps of the two ops' own rules. */
function siluGradient(b: GraphBuilder, node: GraphNode, gradient: Value): Value {
  const [x, s] = [inputAt(node, 0), inputAt(node, 1)];
  const d = mul(b, gradient, s);
  return add(b, d, mul(b, d, sub(b, x, outputOf(node))));
}

/** Sums a gradient over the axes along which a value of `shape` was broadcast. */
function reduceTo(b: GraphBuilder, gradient: Value, shape: readonly Dim[]): Value {
  const lead = gradient.shape.length - shape.length;
  const axes = gradient.shape.flatMap((dim, axis) =>
    axis < lead || (shape[axis - lead] === 1 && dim !== 1) ? [axis] : [],
  );
  if (axes.length === 0) return gradient;
  return reshape(b, reduceSum(b, gradient, axes, false), shape);
}

function expandLike(b: GraphBuilder, gradient: Value, input: Value, node: GraphNode): Value {
  const axes = node.inputs[1] === undefined ? [] : axesOf(b, node.inputs[1]);
  const reduced = new Set(axes.map((axis) => (axis < 0 ? axis + input.shape.length : axis)));
  const kept = input.shape.map((dim, axis) => (reduced.has(axis) ? 1 : dim));
  const shape = input.shape.map((_, axis) => fixedDimAt(input, axis));
  return b.node('Expand', [reshape(b, gradient, kept), b.list(shape)], { type: input.type, shape });
}

function axesOf(b: GraphBuilder, value: Value): number[] {
  const constant = b.initializers.find((initializer) => initializer.value.name === value.name);
  if (constant?.kind !== 'inline') throw new Error(`${value.name} is not a constant`);
  return Array.from(constant.data, Number);
}

function inverse(perm: readonly number[]): number[] {
  return perm.map((_, axis) => perm.indexOf(axis));
}

function concatGradient(b: GraphBuilder, node: GraphNode, gradient: Value): Value[] {
  const axis = Number(node.attributes['axis']);
  let start = 0;
  return node.inputs.map((input) => {
    const end = start + fixedDimAt(input, axis);
    const part = slice(b, gradient, axis, start, end);
    start = end;
    return part;
  });
}

/** y = op(x) · op(w) + bias; every case is again one Gemm. */
function gemmGradient(b: GraphBuilder, node: GraphNode, gradient: Value): (Value | undefined)[] {
  const [x, w, bias] = [inputAt(node, 0), inputAt(node, 1), node.inputs[2]];
  const transX = node.attributes['transA'] === 1;
  const transW = node.attributes['transB'] === 1;
  const dx = transX
    ? gemm(b, w, gradient, { transX: transW, transY: true })
    : gemm(b, gradient, w, { transY: !transW });
  const dw = transW
    ? gemm(b, gradient, x, { transX: true, transY: transX })
    : gemm(b, x, gradient, { transX: !transX });
  return [dx, dw, bias === undefined ? undefined : reduceTo(b, gradient, bias.shape)];
}

/** As gemmGradient, over batch axes; a batch axis of size 1 was broadcast, so its gradient is summed. */
function batchedMatMulGradient(b: GraphBuilder, node: GraphNode, gradient: Value): Value[] {
  const [x, y] = [inputAt(node, 0), inputAt(node, 1)];
  const transX = node.attributes['transA'] === 1;
  const transY = node.attributes['transB'] === 1;
  const scale = node.attributes['alpha'];
  const alpha = typeof scale === 'object' && 'float' in scale ? scale.float : 1;
  const dx = transX
    ? batchedMatMul(b, y, gradient, { transX: transY, transY: true, alpha })
    : batchedMatMul(b, gradient, y, { transY: !transY, alpha });
  const dy = transY
    ? batchedMatMul(b, gradient, x, { transX: true, transY: transX, alpha })
    : batchedMatMul(b, x, gradient, { transX: !transX, alpha });
  return [reduceTo(b, dx, x.shape), reduceTo(b, dy, y.shape)];
}

/** Sums the gradient's rows into the table rows that they were read from. */
function gatherGradient(b: GraphBuilder, node: GraphNode, gradient: Value): Value {
  const [table, indices] = [inputAt(node, 0), inputAt(node, 1)];
  const [numTableRows, width] = [fixedDimAt(table, 0), fixedDimAt(table, 1)];
  const numRows = indices.shape.reduce<number>((product, dim) => product * Number(dim), 1);
  const zeros = b.node('Expand', [b.scalar(0), b.list([numTableRows, width])], {
    type: table.type,
    shape: [numTableRows, width],
  });
  const wide = b.node('Expand', [reshape(b, indices, [numRows, 1]), b.list([numRows, width])], {
    type: 'int64',
    shape: [numRows, width],
  });
  return b.node(
    'ScatterElements',
    [zeros, wide, reshape(b, gradient, [numRows, width])],
    { type: table.type, shape: table.shape },
    { axis: 0, reduction: 'add' },
  );
}

/**
 * With r = 1 / rms(x), H columns and g = dy · x: dx = r · scale · dy − x · r³/H · (g · scale), dscale = rᵀ · g.
 * Sums over rows and columns are products with a vector, which read g once each.
 */
function rmsNormGradient(b: GraphBuilder, node: GraphNode, gradient: Value): Value[] {
  const [x, scale] = [inputAt(node, 0), inputAt(node, 1)];
  const epsilon = node.attributes['epsilon'];
  if (typeof epsilon !== 'object' || !('float' in epsilon))
    throw new Error('RMSNormalization without epsilon');
  const width = fixedDimAt(x, -1);
  const numRows = x.shape.slice(0, -1).reduce<number>((product, dim) => product * Number(dim), 1);
  const asRows = (value: Value): Value => reshape(b, value, [numRows, width]);
  const [rows, dRows] = [asRows(x), asRows(gradient)];
  const squares = b.node(
    'ReduceSumSquare',
    [rows, b.list([1])],
    { type: x.type, shape: [numRows, 1] },
    { keepdims: 1 },
  );
  const meanSquare = mul(b, squares, b.scalar(1 / width));
  const inverse = reciprocal(b, sqrt(b, add(b, meanSquare, b.scalar(epsilon.float))));
  const product = mul(b, dRows, rows);
  const projection = gemm(b, product, reshape(b, scale, [width, 1]));
  const cube = mul(b, mul(b, inverse, inverse), mul(b, inverse, b.scalar(1 / width)));
  const straight = mul(b, mul(b, dRows, scale), inverse);
  const dx = sub(b, straight, mul(b, rows, mul(b, projection, cube)));
  const dScale = gemm(b, inverse, product, { transX: true });
  return [reshape(b, dx, x.shape), reshape(b, dScale, scale.shape)];
}
