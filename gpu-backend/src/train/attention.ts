import type { ModelConfig } from '../model/config.ts';
import type { GraphBuilder, Value } from '../model/graph/builder.ts';
import type { Attend } from '../model/graph/decoder.ts';
import {
  add,
  batchedMatMul,
  concat,
  mul,
  reduceSum,
  reshape,
  slice,
  softmax,
  sub,
} from '../model/graph/ops.ts';
import type { CustomGradients } from './autodiff.ts';

/**
 * Additive masks, 0 where a row sees a column and −∞ (a large negative) elsewhere. S = sequence length.
 */
export interface TrainingMasks {
  /** [S, S]: clean rows see clean columns up to their own. */
  readonly causal: Value;
  /** [S, S]: a mask row sees the clean columns before its block. */
  readonly cleanForMasks: Value;
  /** [S, window]: the masks of its own block that a mask row sees, within its window of columns. */
  readonly ownBlock: Value;
}

interface Sizes {
  readonly batch: number;
  readonly groups: number;
  readonly keyValueHeads: number;
  readonly numTokens: number;
  readonly headDim: number;
  /** Mask rows attend to each other only within windows of this many rows. */
  readonly window: number;
  readonly scale: number;
}

export interface AttentionShape {
  readonly batch: number;
  readonly numTokens: number;
  /** Largest block size: blocks tile windows of this many mask rows. 0: there is no mask half. */
  readonly window: number;
}

/**
 * The attention of the doubled sequence (section 3.1), as the decoder asks for it: the batch axis holds
 * `batch` clean sequences and then, where there is a mask half, as many mask sequences.
 */
export function trainingAttention(
  b: GraphBuilder,
  custom: CustomGradients,
  config: ModelConfig,
  shape: AttentionShape,
  masks: TrainingMasks,
): Attend {
  const sizes: Sizes = {
    ...shape,
    groups: config.numHeads / config.numKeyValueHeads,
    keyValueHeads: config.numKeyValueHeads,
    headDim: config.headDim,
    scale: 1 / Math.sqrt(config.headDim),
  };
  const { batch, window } = shape;
  return (_layer, queries, keys, values) => {
    const inputs = [queries, keys, values];
    if (window === 0) {
      const clean = cleanAttention(b, sizes, { q: queries, k: keys, v: values }, masks.causal);
      return custom.define(clean.mixed, inputs, (_, gradient) => {
        const d = clean.backward(gradient);
        return [d.q, d.k, d.v];
      });
    }
    const half = (x: Value, index: 0 | 1): Value => slice(b, x, 0, index * batch, (index + 1) * batch);
    const [k, v] = [half(keys, 0), half(values, 0)];
    const own = { k: half(keys, 1), v: half(values, 1) };
    const clean = cleanAttention(b, sizes, { q: half(queries, 0), k, v }, masks.causal);
    const mask = maskAttention(b, sizes, { q: half(queries, 1), k, v }, own, masks);
    return custom.define(concat(b, [clean.mixed, mask.mixed], 0), inputs, (_, gradient) => {
      const dClean = clean.backward(half(gradient, 0));
      const dMask = mask.backward(half(gradient, 1));
      return [
        concat(b, [dClean.q, dMask.q], 0),
        concat(b, [add(b, dClean.k, dMask.k), dMask.own.k], 0),
        concat(b, [add(b, dClean.v, dMask.v), dMask.own.v], 0),
      ];
    });
  };
}

/** One attention's inputs, or their gradients. */
interface Heads {
  readonly q: Value;
  readonly k: Value;
  readonly v: Value;
}

type KeysAndValues = Pick<Heads, 'k' | 'v'>;

interface Attention<Gradients> {
  readonly mixed: Value;
  readonly backward: (gradient: Value) => Gradients;
}

/** Query heads that share a key head, side by side: [batch, heads, S, D] → [batch, kvHeads, groups · S, D]. */
function grouped(b: GraphBuilder, sizes: Sizes, x: Value): Value {
  const { batch, groups, headDim, keyValueHeads, numTokens } = sizes;
  return reshape(b, x, [batch, keyValueHeads, groups * numTokens, headDim]);
}

function ungrouped(b: GraphBuilder, sizes: Sizes, x: Value): Value {
  const { batch, groups, headDim, keyValueHeads, numTokens } = sizes;
  return reshape(b, x, [batch, keyValueHeads * groups, numTokens, headDim]);
}

/** Adds a mask [S, columns] to scores [batch, kvHeads, groups · S, columns]. */
function masked(b: GraphBuilder, sizes: Sizes, scores: Value, mask: Value, columns: number): Value {
  const { batch, groups, keyValueHeads, numTokens } = sizes;
  const apart = reshape(b, scores, [batch, keyValueHeads, groups, numTokens, columns]);
  return reshape(b, add(b, apart, mask), [batch, keyValueHeads, groups * numTokens, columns]);
}

/** Gradient of scores from that of the mixed values: P · (dO·Vᵀ − rowsum(dO · O)). */
function scoreGradient(b: GraphBuilder, weights: Value, dWeights: Value, delta: Value): Value {
  return mul(b, weights, sub(b, dWeights, delta));
}

function cleanAttention(b: GraphBuilder, sizes: Sizes, heads: Heads, causal: Value): Attention<Heads> {
  const { numTokens, scale } = sizes;
  const { k, v } = heads;
  const q = grouped(b, sizes, heads.q);
  const scores = batchedMatMul(b, q, k, { transY: true, alpha: scale });
  const weights = softmax(b, masked(b, sizes, scores, causal, numTokens));
  const mixed = batchedMatMul(b, weights, v);
  const backward = (gradient: Value): Heads => {
    const dMixed = grouped(b, sizes, gradient);
    const delta = reduceSum(b, mul(b, dMixed, mixed), [-1], true);
    const dScores = scoreGradient(b, weights, batchedMatMul(b, dMixed, v, { transY: true }), delta);
    return {
      q: ungrouped(b, sizes, batchedMatMul(b, dScores, k, { alpha: scale })),
      k: batchedMatMul(b, dScores, q, { transX: true, alpha: scale }),
      v: batchedMatMul(b, weights, dMixed, { transX: true }),
    };
  };
  return { mixed: ungrouped(b, sizes, mixed), backward };
}

/** Mask rows: one softmax over the clean columns and the row's own window of masks. */
function maskAttention(
  b: GraphBuilder,
  sizes: Sizes,
  heads: Heads,
  own: KeysAndValues,
  masks: TrainingMasks,
): Attention<Heads & { own: KeysAndValues }> {
  const { numTokens, scale, window } = sizes;
  const { k, v } = heads;
  const windows = windowed(b, sizes);
  const q = grouped(b, sizes, heads.q);
  const [ownK, ownV] = [windows.keys(own.k), windows.keys(own.v)];
  const toClean = batchedMatMul(b, q, k, { transY: true, alpha: scale });
  const toOwn = batchedMatMul(b, windows.queries(q), ownK, { transY: true, alpha: scale });
  const scores = concat(
    b,
    [
      masked(b, sizes, toClean, masks.cleanForMasks, numTokens),
      masked(b, sizes, windows.joinColumns(toOwn), masks.ownBlock, window),
    ],
    -1,
  );
  const weights = softmax(b, scores);
  const cleanWeights = slice(b, weights, -1, 0, numTokens);
  const ownWeights = slice(b, weights, -1, numTokens, numTokens + window);
  const ownMixed = batchedMatMul(b, windows.splitColumns(ownWeights), ownV);
  const mixed = add(b, batchedMatMul(b, cleanWeights, v), windows.joinRows(ownMixed));
  const backward = (gradient: Value): Heads & { own: KeysAndValues } => {
    const dMixed = grouped(b, sizes, gradient);
    const delta = reduceSum(b, mul(b, dMixed, mixed), [-1], true);
    const dClean = scoreGradient(b, cleanWeights, batchedMatMul(b, dMixed, v, { transY: true }), delta);
    const dOwnWeights = batchedMatMul(b, windows.queries(dMixed), ownV, { transY: true });
    const dOwnJoined = scoreGradient(b, ownWeights, windows.joinColumns(dOwnWeights), delta);
    const dOwn = windows.splitColumns(dOwnJoined);
    const dQueriesOwn = windows.joinRows(batchedMatMul(b, dOwn, ownK, { alpha: scale }));
    const dQueries = add(b, batchedMatMul(b, dClean, k, { alpha: scale }), dQueriesOwn);
    const dOwnK = batchedMatMul(b, dOwn, windows.queries(q), { transX: true, alpha: scale });
    const ownShares = windows.splitColumns(ownWeights);
    const dOwnV = batchedMatMul(b, ownShares, windows.queries(dMixed), { transX: true });
    return {
      q: ungrouped(b, sizes, dQueries),
      k: batchedMatMul(b, dClean, q, { transX: true, alpha: scale }),
      v: batchedMatMul(b, cleanWeights, dMixed, { transX: true }),
      own: { k: windows.joinKeys(dOwnK), v: windows.joinKeys(dOwnV) },
    };
  };
  return { mixed: ungrouped(b, sizes, mixed), backward };
}

/** Views of the mask rows cut into windows: [batch, kvHeads, groups, S / window, window, …]. */
function windowed(b: GraphBuilder, sizes: Sizes) {
  const { batch, groups, headDim, keyValueHeads, numTokens, window } = sizes;
  const count = numTokens / window;
  const cut = [batch, keyValueHeads, groups, count, window];
  const joined = [batch, keyValueHeads, groups * numTokens];
  return {
    queries: (x: Value) => reshape(b, x, [...cut, headDim]),
    keys: (x: Value) => reshape(b, x, [batch, keyValueHeads, 1, count, window, headDim]),
    splitColumns: (x: Value) => reshape(b, x, [...cut, window]),
    joinColumns: (x: Value) => reshape(b, x, [...joined, window]),
    joinRows: (x: Value) => reshape(b, x, [...joined, headDim]),
    /** Sums over the query heads that share a key head. */
    joinKeys: (x: Value) =>
      reshape(b, groups === 1 ? x : reduceSum(b, x, [2], true), [batch, keyValueHeads, numTokens, headDim]),
  };
}
