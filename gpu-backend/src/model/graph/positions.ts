import type { ModelConfig } from '../config.ts';
import type { GraphBuilder, Value } from './builder.ts';
import { add, cast, concat, gatherRows, mul, reshape, sub } from './ops.ts';
import { rotationMagnitude, ropeTables } from './rope.ts';

/** Entries of a table that stands in the graph for every position; longer ones are made of two short ones. */
const MAX_TABLE_ENTRIES = 2 ** 22;
const FINE_POSITIONS = 512;

/** What attention needs to know of each row's position, int32 [rows]. */
export interface PositionRows {
  /** [1, rows, headDim / 2] */
  readonly cos: Value;
  readonly sin: Value;
  /** [rows, heads + keyValueHeads, 1]; absent where queries aren't scaled. */
  readonly scales?: Value;
}

export function positionRows(b: GraphBuilder, config: ModelConfig, positions: Value): PositionRows {
  const half = config.headDim / 2;
  const isLong = config.maxPositions * half > MAX_TABLE_ENTRIES;
  const { cos, sin } = isLong ? longRotations(b, config, positions) : rotations(b, config, positions, {});
  // Angles are computed in float32 and rounded once, whatever the decoder computes in.
  const toRows = (x: Value): Value => cast(b, reshape(b, x, [1, 'rows', half]), b.precision);
  const scales = queryScales(b, config, positions);
  const rounded = scales === undefined ? {} : { scales: cast(b, scales, b.precision) };
  return { cos: toRows(cos), sin: toRows(sin), ...rounded };
}

interface Rotations {
  /** [rows, headDim / 2] */
  readonly cos: Value;
  readonly sin: Value;
}

function rotations(
  b: GraphBuilder,
  config: ModelConfig,
  indices: Value,
  { count = config.maxPositions, step = 1, magnitude = rotationMagnitude(config.ropeScaling) },
): Rotations {
  const { headDim, ropeTheta, ropeScaling: scaling } = config;
  const tables = ropeTables(count, headDim, ropeTheta, { scaling, step, magnitude });
  const rows = (data: Float32Array): Value =>
    gatherRows(b, b.constant('float32', [count, headDim / 2], data), indices);
  return { cos: rows(tables.cos), sin: rows(tables.sin) };
}

/** The rotation to a multiple of FINE_POSITIONS, then the rest of the way: cos(x + y) by cos and sin of x and y. */
function longRotations(b: GraphBuilder, config: ModelConfig, positions: Value): Rotations {
  const width = b.constant('int32', [], Int32Array.of(FINE_POSITIONS));
  const shape = positions.shape;
  const coarseIndex = b.node('Div', [positions, width], { type: 'int32', shape });
  const fineIndex = b.node('Mod', [positions, width], { type: 'int32', shape });
  const numCoarse = Math.ceil(config.maxPositions / FINE_POSITIONS);
  const coarse = rotations(b, config, coarseIndex, { count: numCoarse, step: FINE_POSITIONS });
  const fine = rotations(b, config, fineIndex, { count: FINE_POSITIONS, magnitude: 1 });
  return {
    cos: sub(b, mul(b, coarse.cos, fine.cos), mul(b, coarse.sin, fine.sin)),
    sin: add(b, mul(b, coarse.sin, fine.cos), mul(b, coarse.cos, fine.sin)),
  };
}

/** 1 + beta · ln(1 + floor(position / originalMaxPositions)) for each query head, 1 for each key head. */
function queryScales(b: GraphBuilder, config: ModelConfig, positions: Value): Value | undefined {
  const { queryScaling, numHeads, numKeyValueHeads, maxPositions } = config;
  if (queryScaling === undefined) return undefined;
  const { beta, originalMaxPositions } = queryScaling;
  const count = Math.ceil(maxPositions / originalMaxPositions);
  const table = Float32Array.from({ length: count }, (_, times) => beta * Math.log1p(times));
  const width = b.constant('int32', [], Int32Array.of(originalMaxPositions));
  const times = b.node('Div', [positions, width], { type: 'int32', shape: positions.shape });
  const growth = reshape(b, gatherRows(b, b.constant('float32', [count], table), times), ['rows', 1, 1]);
  const isQuery = concat(b, [ones(b, numHeads, 1), ones(b, numKeyValueHeads, 0)], 1);
  return add(b, mul(b, growth, isQuery), b.constant('float32', [], Float32Array.of(1)));
}

const ones = (b: GraphBuilder, count: number, value: number): Value =>
  b.constant('float32', [1, count, 1], new Float32Array(count).fill(value));
