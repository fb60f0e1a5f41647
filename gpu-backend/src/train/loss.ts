import type { GraphBuilder, Value } from '../model/graph/builder.ts';
import {
  exp,
  fixedDimAt,
  gatherRows,
  mul,
  neg,
  reduceSum,
  reshape,
  softmax,
  sub,
} from '../model/graph/ops.ts';
import type { CustomGradients } from './autodiff.ts';

/**
 * Cross-entropy of each row: logits [rows, vocab], labels int64 [rows] → [rows].
 * Its gradient, (softmax − one-hot) · d, is written as one scatter instead of a one-hot matrix.
 */
export function crossEntropy(b: GraphBuilder, custom: CustomGradients, logits: Value, labels: Value): Value {
  const numRows = fixedDimAt(logits, 0);
  const columns = reshape(b, labels, [numRows, 1]);
  const logProbabilities = logSoftmax(b, logits);
  const picked = b.node(
    'GatherElements',
    [logProbabilities, columns],
    { type: 'float32', shape: [numRows, 1] },
    { axis: 1 },
  );
  const losses = neg(b, reshape(b, picked, [numRows]));
  return custom.define(losses, [logits], (_, gradient) => {
    const perRow = reshape(b, gradient, [numRows, 1]);
    const scaled = mul(b, softmax(b, logits), perRow);
    return [
      b.node(
        'ScatterElements',
        [scaled, columns, neg(b, perRow)],
        { type: 'float32', shape: logits.shape },
        { axis: 1, reduction: 'add' },
      ),
    ];
  });
}

/**
 * Kullback-Leibler divergence of each row from another row of the same logits, its teacher, through which no gradient
 * flows: [rows, vocab], int64 [rows] → [rows]. Its gradient is (softmax − the teacher's) · d.
 */
export function divergence(
  b: GraphBuilder,
  custom: CustomGradients,
  logits: Value,
  teacherRows: Value,
): Value {
  const logProbabilities = logSoftmax(b, logits);
  const taught = gatherRows(b, logProbabilities, teacherRows);
  const probabilities = exp(b, taught);
  const shares = mul(b, probabilities, sub(b, taught, logProbabilities));
  return custom.define(reduceSum(b, shares, [-1], false), [logits], (_, gradient) => [
    mul(b, sub(b, softmax(b, logits), probabilities), reshape(b, gradient, [fixedDimAt(logits, 0), 1])),
  ]);
}

function logSoftmax(b: GraphBuilder, logits: Value): Value {
  return b.node('LogSoftmax', [logits], { type: 'float32', shape: logits.shape }, { axis: -1 });
}

/** Σ losses · weights over rows [start, end): a scalar. */
export function weightedSum(b: GraphBuilder, losses: Value, weights: Value): Value {
  return reduceSum(b, mul(b, losses, weights), [0], false);
}
