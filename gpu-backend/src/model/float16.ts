/** The floating-point types a weight file may hold. */
export type FloatDtype = 'F32' | 'F16' | 'BF16';

/** The largest finite float16. */
export const MAX_FLOAT16 = 65504;

/** The bit patterns of `values` in float16, rounded to nearest, ties to even; out of range becomes infinity. */
export function toFloat16Bits(values: Float32Array): Uint16Array {
  return new Uint16Array(new Float16Array(values).buffer);
}

/** The bit patterns of `values` in bfloat16, rounded to nearest, ties to even. NaN stays NaN. */
export function toBfloat16Bits(values: Float32Array): Uint16Array {
  const wide = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const bits = new Uint16Array(values.length);
  for (let i = 0; i < bits.length; i++) {
    const word = wide[i] ?? 0;
    const isNaN = (word & 0x7fffffff) > 0x7f800000;
    bits[i] = isNaN ? (word >>> 16) | 0x40 : (word + 0x7fff + ((word >>> 16) & 1)) >>> 16;
  }
  return bits;
}

/** The float32 values of float16 bit patterns; exact. */
export function fromFloat16Bits(bits: Uint16Array): Float32Array {
  return Float32Array.from(new Float16Array(bits.buffer, bits.byteOffset, bits.length));
}

/** The float32 values of bfloat16 bit patterns; exact, for bfloat16 is float32's upper half. */
export function fromBfloat16Bits(bits: Uint16Array): Float32Array {
  const wide = new Uint32Array(bits.length);
  for (let i = 0; i < bits.length; i++) wide[i] = (bits[i] ?? 0) << 16;
  return new Float32Array(wide.buffer);
}

/** The float32 values of a little-endian buffer that holds `dtype`; F32 is a view, not a copy. */
export function toFloat32(buffer: ArrayBuffer, dtype: FloatDtype): Float32Array {
  if (dtype === 'F32') return new Float32Array(buffer);
  const bits = new Uint16Array(buffer);
  return dtype === 'F16' ? fromFloat16Bits(bits) : fromBfloat16Bits(bits);
}
