import type { RopeScaling } from '../rope-config.ts';

/** Radians that each pair of a head's elements turns by from one position to the next, [headDim / 2], in float64. */
function inverseFrequencies(headDim: number, theta: number, scaling?: RopeScaling): Float64Array {
  const plain = Float64Array.from({ length: headDim / 2 }, (_, pair) => theta ** ((-2 * pair) / headDim));
  if (scaling === undefined) return plain;
  if (scaling.type === 'linear') return plain.map((frequency) => frequency / scaling.factor);
  if (scaling.type === 'llama3') return plain.map((frequency) => llama3Frequency(frequency, scaling));
  return yarnFrequencies(plain, headDim, theta, scaling);
}

/** Llama 3.1: fast pairs stay, slow ones are stretched, those between are mixed by how often they turn. */
function llama3Frequency(frequency: number, scaling: Extract<RopeScaling, { type: 'llama3' }>): number {
  const { factor, lowFreqFactor, highFreqFactor, originalMaxPositions } = scaling;
  const numTurns = (originalMaxPositions * frequency) / (2 * Math.PI);
  const kept = Math.min(1, Math.max(0, (numTurns - lowFreqFactor) / (highFreqFactor - lowFreqFactor)));
  return kept * frequency + ((1 - kept) * frequency) / factor;
}

/** YaRN (arXiv 2309.00071): the same idea, with a ramp over the pairs themselves. */
function yarnFrequencies(
  plain: Float64Array,
  headDim: number,
  theta: number,
  scaling: Extract<RopeScaling, { type: 'yarn' }>,
): Float64Array {
  const { factor, betaFast, betaSlow, originalMaxPositions, truncate } = scaling;
  /** The pair that turns so often over the original context. */
  const pairOf = (numTurns: number): number =>
    (headDim * Math.log(originalMaxPositions / (numTurns * 2 * Math.PI))) / (2 * Math.log(theta));
  const ends = [pairOf(betaFast), pairOf(betaSlow)] as const;
  const low = Math.max(truncate ? Math.floor(ends[0]) : ends[0], 0);
  const high = Math.min(truncate ? Math.ceil(ends[1]) : ends[1], headDim - 1);
  const width = high === low ? 0.001 : high - low;
  return plain.map((frequency, pair) => {
    const stretched = Math.min(1, Math.max(0, (pair - low) / width));
    return (stretched * frequency) / factor + (1 - stretched) * frequency;
  });
}

/** What cos and sin are multiplied by. */
export function rotationMagnitude(scaling?: RopeScaling): number {
  return scaling?.type === 'yarn' ? scaling.attentionFactor : 1;
}

/**
 * Rotary tables in float64, rounded once: cos and sin [numPositions, headDim / 2] of the angles at positions
 * 0, step, 2 · step, …, where unscaled the angle is position · θ^(-2i/headDim).
 */
export function ropeTables(
  numPositions: number,
  headDim: number,
  theta: number,
  options: { scaling?: RopeScaling | undefined; step?: number; magnitude?: number } = {},
): { cos: Float32Array; sin: Float32Array } {
  const { scaling, step = 1, magnitude = rotationMagnitude(scaling) } = options;
  const half = headDim / 2;
  const frequencies = inverseFrequencies(headDim, theta, scaling);
  const cos = new Float32Array(numPositions * half);
  const sin = new Float32Array(numPositions * half);
  for (let position = 0; position < numPositions; position += 1) {
    for (let pair = 0; pair < half; pair += 1) {
      const angle = position * step * (frequencies[pair] ?? 0);
      cos[position * half + pair] = magnitude * Math.cos(angle);
      sin[position * half + pair] = magnitude * Math.sin(angle);
    }
  }
  return { cos, sin };
}
