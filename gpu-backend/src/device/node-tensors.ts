import * as ort from 'onnxruntime-node';
import type { BoundArray } from './bound-array.ts';

/** onnxruntime-node's tensors over bound arrays, each made anew only when its array has another shape. */
export class ArrayTensors {
  readonly #tensors = new Map<BoundArray, { shape: readonly number[]; tensor: ort.Tensor }>();

  of(array: BoundArray): ort.Tensor {
    const known = this.#tensors.get(array);
    // A new buffer comes with a new shape.
    if (known?.shape === array.shape) return known.tensor;
    const tensor = toTensor(array);
    this.#tensors.set(array, { shape: array.shape, tensor });
    return tensor;
  }
}

function toTensor({ type, buffer, shape }: BoundArray): ort.Tensor {
  const length = shape.reduce((product, dim) => product * dim, 1);
  if (type === 'float32') return new ort.Tensor(type, new Float32Array(buffer, 0, length), shape);
  if (type === 'int32') return new ort.Tensor(type, new Int32Array(buffer, 0, length), shape);
  if (type === 'int64') return new ort.Tensor(type, new BigInt64Array(buffer, 0, length), shape);
  return new ort.Tensor(type, new Uint8Array(buffer, 0, length), shape);
}
