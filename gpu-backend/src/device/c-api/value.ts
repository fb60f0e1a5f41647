import type { ElementType } from '../bound-array.ts';
import { ortApi } from './library.ts';
import type { Pointer } from './library.ts';
import { Handle, result } from './status.ts';

/** onnxruntime's own numbers of types. */
const TYPE_NUMBERS: Readonly<Record<ElementType, number>> = { float32: 1, int32: 6, int64: 7, bool: 9 };
const DEVICE_ALLOCATOR = 0;
const DEFAULT_MEMORY = 0;

let cpuMemory: Handle | undefined;

function cpuMemoryInfo(): Pointer {
  cpuMemory ??= new Handle('MemoryInfo', result('CreateCpuMemoryInfo', DEVICE_ALLOCATOR, DEFAULT_MEMORY));
  return cpuMemory.pointer;
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
  layout: { numBytes: number; shape: readonly number[]; type: ElementType },
  use: (value: Pointer) => void,
): void {
  const sizes = int64s(layout.shape);
  const args = [
    cpuMemoryInfo(),
    memory,
    layout.numBytes,
    sizes,
    sizes.length,
    TYPE_NUMBERS[layout.type],
  ] as const;
  const value = result('CreateTensorWithDataAsOrtValue', ...args);
  try {
    use(value);
  } finally {
    ortApi().release.Value(value);
  }
}

/** A float32 tensor in memory of onnxruntime's own, not initialized. */
export function allocateValue(shape: readonly number[]): { value: Handle; memory: Pointer } {
  const allocator = result('GetAllocatorWithDefaultOptions');
  const sizes = int64s(shape);
  const args = [allocator, sizes, sizes.length, TYPE_NUMBERS.float32] as const;
  const value = new Handle('Value', result('CreateTensorAsOrtValue', ...args));
  return { value, memory: result('GetTensorMutableData', value.pointer) };
}
