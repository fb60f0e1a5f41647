import type { QuantizedProduct } from '../quantization/file.ts';
import { BLOCK_SIZE, productName } from '../quantization/scheme.ts';
import type { GraphBuilder, Value } from './builder.ts';
import type { Multiply, WeightSource } from './decoder.ts';
import { joinedRows } from './decoder.ts';
import { add, cast, dimAt, MICROSOFT } from './ops.ts';

/**
 * Rows are rounded to 8 bits too, in the same blocks, and products are sums of integers. Then, and with blocks of 32, a
 * row's numbers do not depend on the rows beside it, one row included; kernels for float32 rows are several times slower
 * from two rows on. See docs/devices.md.
 */
const ACCURACY_LEVEL = 4;

/** Products by weights in fewer bits; biases are as they were. */
export function quantizedProducts(
  b: GraphBuilder,
  weight: WeightSource,
  products: ReadonlyMap<string, QuantizedProduct>,
): Multiply {
  return (x, weights, biases) => {
    const product = products.get(productName(weights));
    if (product === undefined) throw new Error(`no quantized product of ${weights.join(', ')}`);
    const y = multiply(b, x, product);
    return biases === undefined ? y : add(b, y, joinedRows(b, weight, biases));
  };
}

function multiply(b: GraphBuilder, x: Value, product: QuantizedProduct): Value {
  const { numInputs, numOutputs, numBits, packed, scales } = product;
  const output = { type: b.precision, shape: [dimAt(x, 0), numOutputs] } as const;
  const attributes = {
    K: numInputs,
    N: numOutputs,
    bits: numBits,
    block_size: BLOCK_SIZE,
    accuracy_level: ACCURACY_LEVEL,
  };
  const inputs = [x, b.external(packed), cast(b, b.external(scales), b.precision)];
  return b.node('MatMulNBits', inputs, output, attributes, MICROSOFT);
}
