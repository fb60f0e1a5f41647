import { BLOCK_SIZE } from './scheme.ts';

export interface PackedRows {
  /** [rows, blocks, BLOCK_SIZE · bits / 8]; of two weights in a byte the first is the low half. */
  readonly packed: Uint8Array;
  /** [rows, blocks] */
  readonly scales: Float32Array;
}

/**
 * Rows of weights in blocks, symmetric: weight ≈ (code − 2^(bits−1)) · scale. The weight that is farthest from zero has
 * the code 0 and comes back as it was, whatever its sign; the scale has the other sign.
 */
export function packRows(values: Float32Array, numInputs: number, numBits: 4 | 8): PackedRows {
  const numBlocks = Math.ceil(numInputs / BLOCK_SIZE);
  const numRows = values.length / numInputs;
  const zero = 2 ** (numBits - 1);
  const codes = new Uint8Array(BLOCK_SIZE);
  const scales = new Float32Array(numRows * numBlocks);
  const blockBytes = (BLOCK_SIZE * numBits) / 8;
  const packed = new Uint8Array(scales.length * blockBytes);
  for (let block = 0; block < scales.length; block += 1) {
    const start = Math.floor(block / numBlocks) * numInputs + (block % numBlocks) * BLOCK_SIZE;
    const end = Math.min(start + BLOCK_SIZE, (Math.floor(block / numBlocks) + 1) * numInputs);
    scales[block] = (0 - farthest(values, start, end)) / zero;
    encode(values, start, end, scales[block] ?? 0, zero, codes);
    write(codes, numBits, packed, block * blockBytes);
  }
  return { packed, scales };
}

function farthest(values: Float32Array, start: number, end: number): number {
  let most = 0;
  for (let at = start; at < end; at += 1) {
    const value = values[at] ?? 0;
    if (Math.abs(value) > Math.abs(most)) most = value;
  }
  return most;
}

/** What follows the row's end in its last block counts as zero. */
function encode(
  values: Float32Array,
  start: number,
  end: number,
  scale: number,
  zero: number,
  codes: Uint8Array,
): void {
  const inverse = scale === 0 ? 0 : 1 / scale;
  codes.fill(zero);
  for (let at = start; at < end; at += 1) {
    const code = Math.round((values[at] ?? 0) * inverse) + zero;
    codes[at - start] = Math.max(0, Math.min(2 * zero - 1, code));
  }
}

function write(codes: Uint8Array, numBits: 4 | 8, packed: Uint8Array, at: number): void {
  if (numBits === 8) return packed.set(codes, at);
  for (let pair = 0; pair < BLOCK_SIZE / 2; pair += 1) {
    packed[at + pair] = (codes[2 * pair] ?? 0) | ((codes[2 * pair + 1] ?? 0) << 4);
  }
}

/** The weights that packed rows stand for: what products must equal. */
export function unpackRows({ packed, scales }: PackedRows, numInputs: number, numBits: 4 | 8): Float32Array {
  const numBlocks = Math.ceil(numInputs / BLOCK_SIZE);
  const values = new Float32Array((scales.length / numBlocks) * numInputs);
  const zero = 2 ** (numBits - 1);
  values.forEach((_, index) => {
    const input = index % numInputs;
    const block = Math.floor(index / numInputs) * numBlocks + Math.floor(input / BLOCK_SIZE);
    const at = block * BLOCK_SIZE + (input % BLOCK_SIZE);
    const byte = packed[numBits === 8 ? at : at >> 1] ?? 0;
    const code = numBits === 8 ? byte : at % 2 === 0 ? byte & 15 : byte >> 4;
    values[index] = Math.fround((code - zero) * (scales[block] ?? 0));
  });
  return values;
}
