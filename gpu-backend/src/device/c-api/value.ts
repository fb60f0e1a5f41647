import type { ElementType } from '../bound-array.ts';
import { ortApi } from './library.ts';
import type { Pointer } from './library.ts';
import { Handle, result } from './status.ts';

/** Of an array that JavaScript fills or reads, or of keys and values on a GPU. */
export type TensorType = ElementType | 'float16' | 'bfloat16';

/** onnxruntime's own numbers of types. */
const TYPE_NUMBERS: Readonly<Record<TensorType, number>> = {
  float32: 1,
  int32: 6,
  int64: 7,
  bool: 9,
  float16: 10,
  bfloat16: 16,
};
const DEVICE_ALLOCATOR = 0;
const DEFAULT_MEMORY = 0;

let cpuMemory: Handle | undefined;

function cpuMemoryInfo(): Pointer {
  cpuMemory ??= new Handle('MemoryInfo', result('CreateCpuMemoryInfo', DEVICE_ALLOCATOR, DEFAULT_MEMORY));
  return cpuMemory.pointer;
}

export interface Layout {
  readonly numBytes: number;
  readonly shape: readonly number[];
  readonly type: TensorType;
}

function int64s(shape: readonly number[]): BigInt64Array {
  return BigInt64Array.from(shape, BigInt);
}

/**
 * Gives `use` a tensor in memory that someone else owns, who must keep it for as long as anything that `use` bound it
 * to is used: onnxruntime counts references to tensors, not to their memory.
 */
export function withValueOver(
  memory: Pointer | ArrayBufferView,
  layout: Layout,
  use: (value: Pointer) => void,
  memoryInfo: Pointer = cpuMemoryInfo(),
): void {
  const value = makeValueOver(memory, layout, memoryInfo);
  try {
    use(value);
  } finally {
    ortApi().release.Value(value);
  }
}

/** The same to keep. `memoryInfo`: where the memory is; absent: where the CPU reaches it. */
export function valueOver(
  memory: Pointer | ArrayBufferView,
  layout: Layout,
  memoryInfo: Pointer = cpuMemoryInfo(),
): Handle {
  return new Handle('Value', makeValueOver(memory, layout, memoryInfo));
}

function makeValueOver(memory: Pointer | ArrayBufferView, layout: Layout, memoryInfo: Pointer): Pointer {
  const sizes = int64s(layout.shape);
  const { numBytes, type } = layout;
  const args = [memoryInfo, memory, numBytes, sizes, sizes.length, TYPE_NUMBERS[type]] as const;
  return result('CreateTensorWithDataAsOrtValue', ...args);
}

/** A float32 tensor in memory of onnxruntime's own, not initialized. */
export function allocateValue(shape: readonly number[]): { value: Handle; memory: Pointer } {
  const allocator = result('GetAllocatorWithDefaultOptions');
  const sizes = int64s(shape);
  const args = [allocator, sizes, sizes.length, TYPE_NUMBERS.float32] as const;
  const value = new Handle('Value', result('CreateTensorAsOrtValue', ...args));
  return { value, memory: result('GetTensorMutableData', value.pointer) };
}
