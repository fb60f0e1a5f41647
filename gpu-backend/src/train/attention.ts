import type { ModelConfig } from '../model/config.ts';
import type { GraphBuilder, Value } from '../model/graph/builder.ts';
import {
  add,
  batchedMatMul,
  concat,
  fixedDimAt,
  mul,
  reduceSum,
  reshape,
  slice,
  softmax,
  sub,
  transpose,
} from '../model/graph/ops.ts';
import type { CustomGradients } from './autodiff.ts';

/**
 * Additive masks, 0 where a row sees a column and −∞ (a large negative) elsewhere. S = sequence length, M = mask rows
 * of a sequence.
 */
export interface TrainingMasks {
  /** [S, S]: clean rows see clean columns up to their own. */
  readonly causal: Value;
  /** [batch, M, S]: a mask row sees the clean columns before its block. */
  readonly cleanForMasks: Value;
  /** [batch, M, window]: the masks of its own block that a mask row sees, within its window of columns. */
  readonly ownBlock: Value;
}

interface Sizes {
  readonly batch: number;
  readonly groups: number;
  readonly keyValueHeads: number;
  readonly numTokens: number;
  readonly headDim: number;
  readonly numMaskRows: number;
  /** Mask rows attend to each other only within windows of this many rows. */
  readonly window: number;
  readonly scale: number;
}

export interface AttentionShape {
  readonly batch: number;
  readonly numTokens: number;
  /** Largest block size: blocks tile windows of this many mask rows. 0: there is no mask half. */
  readonly window: number;
  /** Mask rows of each sequence; default: as many as tokens. */
  readonly numMaskRows?: number;
}

/** [1, rows, heads · headDim] of rotated queries and keys, and of values: all clean rows, then all mask rows. */
export type AttendRows = (queries: Value, keys: Value, values: Value) => Value;

/** The attention of the doubled sequence (section 3.1) → [rows, heads · headDim]. */
export function trainingAttention(
  b: GraphBuilder,
  custom: CustomGradients,
  config: Pick<ModelConfig, 'numHeads' | 'numKeyValueHeads' | 'headDim'>,
  shape: AttentionShape,
  masks: TrainingMasks,
): AttendRows {
  const { batch, window, numTokens, numMaskRows = numTokens } = shape;
  const sizes: Sizes = {
    ...shape,
    numMaskRows,
    groups: config.numHeads / config.numKeyValueHeads,
    keyValueHeads: config.numKeyValueHeads,
    headDim: config.headDim,
    scale: 1 / Math.sqrt(config.headDim),
  };
  const numCleanRows = batch * numTokens;
  const numRows = numCleanRows + (window === 0 ? 0 : batch * numMaskRows);
  const clean = part(b, sizes, { start: 0, end: numCleanRows });
  const mask = part(b, sizes, { start: numCleanRows, end: numRows });
  const joined = (...parts: Value[]): Value =>
    parts.length === 1 ? (parts[0] as Value) : concat(b, parts, 0);
  return (queries, keys, values) => {
    const inputs = [queries, keys, values];
    const [q, k, v] = [clean.heads(queries), clean.heads(keys), clean.heads(values)];
    const ofClean = cleanAttention(b, sizes, { q, k, v }, masks.causal);
    const back = (rows: Value, input: Value): Value => reshape(b, rows, input.shape);
    if (window === 0) {
      return custom.define(clean.rows(ofClean.mixed), inputs, (_, gradient) => {
        const d = ofClean.backward(clean.heads(gradient));
        return [back(clean.rows(d.q), queries), back(clean.rows(d.k), keys), back(clean.rows(d.v), values)];
      });
    }
    const own = { k: mask.heads(keys), v: mask.heads(values) };
    const ofMask = maskAttention(b, sizes, { q: mask.heads(queries), k, v }, own, masks);
    const mixed = joined(clean.rows(ofClean.mixed), mask.rows(ofMask.mixed));
    return custom.define(mixed, inputs, (_, gradient) => {
      const dClean = ofClean.backward(clean.heads(gradient));
      const dMask = ofMask.backward(mask.heads(gradient));
      const both = (ofCleanRows: Value, ofMaskRows: Value, input: Value): Value =>
        back(joined(clean.rows(ofCleanRows), mask.rows(ofMaskRows)), input);
      return [
        both(dClean.q, dMask.q, queries),
        both(add(b, dClean.k, dMask.k), dMask.own.k, keys),
        both(add(b, dClean.v, dMask.v), dMask.own.v, values),
      ];
    });
  };
}

/** One half's rows, head by head and back: […rows, heads · headDim] ↔ [batch, heads, rows of a sequence, headDim]. */
function part(b: GraphBuilder, { batch, headDim }: Sizes, { start, end }: { start: number; end: number }) {
  const perSequence = (end - start) / batch;
  return {
    heads: (rows: Value): Value => {
      const width = fixedDimAt(rows, -1);
      const numRows = rows.shape.slice(0, -1).reduce<number>((product, dim) => product * Number(dim), 1);
      const flat = reshape(b, rows, [numRows, width]);
      const own = start === 0 && end === numRows ? flat : slice(b, flat, 0, start, end);
      const apart = reshape(b, own, [batch, perSequence, width / headDim, headDim]);
      return transpose(b, apart, [0, 2, 1, 3]);
    },
    rows: (heads: Value): Value => {
      const together = transpose(b, heads, [0, 2, 1, 3]);
      return reshape(b, together, [end - start, fixedDimAt(heads, 1) * headDim]);
    },
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

/** Query heads that share a key head, side by side: [batch, heads, rows, D] → [batch, kvHeads, groups · rows, D]. */
function grouped(b: GraphBuilder, sizes: Sizes, x: Value): Value {
  const { batch, groups, headDim, keyValueHeads } = sizes;
  return reshape(b, x, [batch, keyValueHeads, groups * fixedDimAt(x, 2), headDim]);
}

function ungrouped(b: GraphBuilder, sizes: Sizes, x: Value): Value {
  const { batch, groups, headDim, keyValueHeads } = sizes;
  return reshape(b, x, [batch, keyValueHeads * groups, fixedDimAt(x, 2) / groups, headDim]);
}

/** Adds a mask [rows, columns], or [batch, rows, columns], to scores [batch, kvHeads, groups · rows, columns]. */
function masked(b: GraphBuilder, sizes: Sizes, scores: Value, mask: Value): Value {
  const { batch, groups, keyValueHeads } = sizes;
  const [rows, columns] = [fixedDimAt(mask, -2), fixedDimAt(mask, -1)];
  const apart = reshape(b, scores, [batch, keyValueHeads, groups, rows, columns]);
  const shared = mask.shape.length === 2 ? mask : reshape(b, mask, [batch, 1, 1, rows, columns]);
  return reshape(b, add(b, apart, shared), [batch, keyValueHeads, groups * rows, columns]);
}

/** Gradient of scores from that of the mixed values: P · (dO·Vᵀ − rowsum(dO · O)). */
function scoreGradient(b: GraphBuilder, weights: Value, dWeights: Value, delta: Value): Value {
  return mul(b, weights, sub(b, dWeights, delta));
}

function cleanAttention(b: GraphBuilder, sizes: Sizes, heads: Heads, causal: Value): Attention<Heads> {
  const { scale } = sizes;
  const { k, v } = heads;
  const q = grouped(b, sizes, heads.q);
  const scores = batchedMatMul(b, q, k, { transY: true, alpha: scale });
  const weights = softmax(b, masked(b, sizes, scores, causal));
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
      masked(b, sizes, toClean, masks.cleanForMasks),
      masked(b, sizes, windows.joinColumns(toOwn), masks.ownBlock),
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

/** Views of the mask rows cut into windows: [batch, kvHeads, groups, M / window, window, …]. */
function windowed(b: GraphBuilder, sizes: Sizes) {
  const { batch, groups, headDim, keyValueHeads, numMaskRows, window } = sizes;
  const count = numMaskRows / window;
  const cut = [batch, keyValueHeads, groups, count, window];
  const joined = [batch, keyValueHeads, groups * numMaskRows];
  return {
    queries: (x: Value) => reshape(b, x, [...cut, headDim]),
    keys: (x: Value) => reshape(b, x, [batch, keyValueHeads, 1, count, window, headDim]),
    splitColumns: (x: Value) => reshape(b, x, [...cut, window]),
    joinColumns: (x: Value) => reshape(b, x, [...joined, window]),
    joinRows: (x: Value) => reshape(b, x, [...joined, headDim]),
    /** Sums over the query heads that share a key head. */
    joinKeys: (x: Value) =>
      reshape(b, groups === 1 ? x : reduceSum(b, x, [2], true), [batch, keyValueHeads, numMaskRows, headDim]),
  };
}
