import type { FloatDtype } from './float16.ts';
import type { ModelOutline } from './folder.ts';
import { numElements } from './safetensors.ts';

/** What products are computed in, and keys and values kept in. */
export const PRECISIONS = ['float32', 'float16', 'bfloat16'] as const;
export type Precision = (typeof PRECISIONS)[number];

export const BYTES_PER_FLOAT: Readonly<Record<Precision, number>> = { float32: 4, float16: 2, bfloat16: 2 };

const PRECISION_OF: Readonly<Record<FloatDtype, Precision>> = {
  F32: 'float32',
  F16: 'float16',
  BF16: 'bfloat16',
};

/** What most of the model's weights are in: where the device computes in it, they are neither widened nor narrowed. */
export function precisionOf({ tensors }: Pick<ModelOutline, 'tensors'>): Precision {
  const counts = new Map<FloatDtype, number>();
  for (const { dtype, shape } of tensors.values())
    counts.set(dtype, (counts.get(dtype) ?? 0) + numElements(shape));
  const [most] = [...counts].sort(([, a], [, b]) => b - a);
  return PRECISION_OF[most?.[0] ?? 'F32'];
}
