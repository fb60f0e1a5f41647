import { describe, expect, it } from 'vitest';
import { fromBfloat16Bits, fromFloat16Bits, toFloat16Bits } from './float16.ts';

describe('float16', () => {
  it('every float16 that is a number survives the way to float32 and back', () => {
    const bits = Uint16Array.from({ length: 65536 }, (_, i) => i);
    const values = fromFloat16Bits(bits);
    const numbers = bits.filter((_, i) => !Number.isNaN(values[i]));
    expect(numbers.length).toBe(65536 - 2 * 1023);
    expect(toFloat16Bits(fromFloat16Bits(numbers))).toEqual(numbers);
  });

  it.each([
    ['a tie below an even neighbour goes down', 1 + 2 ** -11, 0x3c00],
    ['a tie below an odd neighbour goes up', 1 + 3 * 2 ** -11, 0x3c02],
    ['just above a tie goes up', 1 + 2 ** -11 + 2 ** -20, 0x3c01],
    ['the smallest subnormal', 2 ** -24, 0x0001],
    ['half of the smallest subnormal goes to zero', 2 ** -25, 0x0000],
    ['the largest number', 65504, 0x7bff],
    ['beyond the range is infinite', 65520, 0x7c00],
    ['negative zero keeps its sign', -0, 0x8000],
  ])('rounds to nearest, ties to even: %s', (_, value, bits) => {
    expect(toFloat16Bits(Float32Array.of(value))).toEqual(Uint16Array.of(bits));
  });

  it('bfloat16 is the upper half of float32', () => {
    const values = fromBfloat16Bits(Uint16Array.of(0x3f80, 0xc049, 0x0000, 0x7f80));
    expect([...values]).toEqual([1, -3.140625, 0, Infinity]);
  });
});
