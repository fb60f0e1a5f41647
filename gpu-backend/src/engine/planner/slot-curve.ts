import { LatencyModel } from './latency.ts';

/** What a pass takes by its rows. Sequences and context are taken to cost nothing beside their rows. */
export type SlotCurve = readonly (readonly [numRows: number, milliseconds: number])[];

export const CURVE_CONTEXT_TOKENS = 128;

/** Published; a plain step is 1. */
export const H100_CURVE: SlotCurve = [
  [1, 1],
  [64, 1],
  [128, 1.15],
  [256, 1.4],
  [512, 2.2],
];

/** Measured once on one core, with 5.3M parameters; milliseconds. */
export const CPU_CURVE: SlotCurve = [
  [1, 1.32],
  [2, 1.42],
  [4, 1.67],
  [8, 2.26],
  [12, 2.28],
  [16, 2.9],
  [24, 3.23],
  [32, 4.41],
  [48, 5.36],
  [72, 7.56],
];

export function latencyOf(curve: SlotCurve): LatencyModel {
  return new LatencyModel(
    curve.map(([numRows, milliseconds]) => {
      return { numRows, numSequences: 1, numContextTokens: CURVE_CONTEXT_TOKENS, milliseconds };
    }),
  );
}
