import type { GraphBuilder, Value } from '../model/graph/builder.ts';
import { fixedDimAt, mul, neg, reduceSum, reshape, softmax } from '../model/graph/ops.ts';
import type { CustomGradients } from './autodiff.ts';

/**
 * Cross-entropy of each row: logits [rows, vocab], labels int64 [rows] → [rows].
 * Its gradient, (softmax − one-hot) · d, is written as one scatter instead of a one-hot matrix.
 */
export function crossEntropy(b: GraphBuilder, custom: CustomGradients, logits: Value, labels: Value): Value {
  const numRows = fixedDimAt(logits, 0);
  const columns = reshape(b, labels, [numRows, 1]);
  const logProbabilities = b.node(
    'LogSoftmax',
    [logits],
    { type: 'float32', shape: logits.shape },
    { axis: -1 },
  );
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

/** Σ losses · weights over rows [start, end): a scalar. */
export function weightedSum(b: GraphBuilder, losses: Value, weights: Value): Value {
  return reduceSum(b, mul(b, losses, weights), [0], false);
}
