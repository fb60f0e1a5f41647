/**
 * Rotary tables in float64, rounded once: cos and sin [numPositions, headDim / 2], angle = position · θ^(-2i/headDim).
 */
export function ropeTables(
  numPositions: number,
  headDim: number,
  theta: number,
): { cos: Float32Array; sin: Float32Array } {
  const half = headDim / 2;
  const cos = new Float32Array(numPositions * half);
  const sin = new Float32Array(numPositions * half);
  for (let position = 0; position < numPositions; position += 1) {
    for (let pair = 0; pair < half; pair += 1) {
      const angle = position * theta ** ((-2 * pair) / headDim);
      cos[position * half + pair] = Math.cos(angle);
      sin[position * half + pair] = Math.sin(angle);
    }
  }
  return { cos, sin };
}
