import koffi from 'koffi';
import type { LibraryHandle } from 'koffi';
import { TidarError } from '@tidar/shared/errors.ts';
import { call, Handle, result } from '../c-api/status.ts';
import type { Pointer } from '../c-api/library.ts';

const DEVICE_ALLOCATOR = 0;
const DEFAULT_MEMORY = 0;
const OUT_OF_MEMORY = 2;
const DEVICE_TO_DEVICE = 3;

/** Rows of bytes in the GPU's memory: [rows] of `rowBytes`, one every `pitch` bytes. */
export interface Strip {
  readonly address: Pointer;
  readonly pitch: number;
}

/**
 * Memory of one GPU, from the CUDA runtime itself: what lives longer than a run may not lie in the session's own arena,
 * whose free parts captured graphs go on writing to.
 */
export class GpuMemory {
  /** Names the memory to onnxruntime. */
  readonly info: Handle;
  readonly #library: LibraryHandle;
  readonly #functions = new Map<string, (...args: unknown[]) => number>();

  /** `library`: the runtime that the provider is linked to; `device`: the GPU, from 0 on. */
  constructor(library: string, device: number) {
    this.#library = koffi.load(library);
    this.#call('cudaSetDevice', ['int'], device);
    this.info = new Handle(
      'MemoryInfo',
      result('CreateMemoryInfo', 'Cuda', DEVICE_ALLOCATOR, device, DEFAULT_MEMORY),
    );
  }

  allocate(numBytes: number): Pointer {
    const place = new BigUint64Array(1);
    this.#call('cudaMalloc', ['void *', 'size_t'], place, numBytes);
    return place[0] ?? 0n;
  }

  free(address: Pointer): void {
    this.#call('cudaFree', ['void *'], address);
  }

  clear(address: Pointer, numBytes: number): void {
    this.#call('cudaMemset', ['void *', 'int', 'size_t'], address, 0, numBytes);
  }

  /** Copies rows within the GPU's memory. `settle` waits for them. */
  copyRows(target: Strip, source: Strip, rowBytes: number, numRows: number): void {
    const types = ['void *', 'size_t', 'void *', 'size_t', 'size_t', 'size_t', 'int'];
    this.#call(
      'cudaMemcpy2D',
      types,
      target.address,
      target.pitch,
      source.address,
      source.pitch,
      rowBytes,
      numRows,
      DEVICE_TO_DEVICE,
    );
  }

  /** Waits for copies: onnxruntime's runs are in a stream that would not. */
  settle(): void {
    this.#call('cudaDeviceSynchronize', []);
  }

  get freeBytes(): number {
    const sizes = new BigUint64Array(2);
    this.#call('cudaMemGetInfo', ['void *', 'void *'], sizes, sizes.subarray(1));
    return Number(sizes[0] ?? 0n);
  }

  #call(name: string, types: readonly string[], ...args: readonly unknown[]): void {
    let known = this.#functions.get(name);
    if (known === undefined) {
      known = this.#library.func(name, 'int', [...types]) as (...all: unknown[]) => number;
      this.#functions.set(name, known);
    }
    const status = known(...args);
    if (status === 0) return;
    const sentence = status === OUT_OF_MEMORY ? 'The GPU has no memory left.' : 'The GPU failed.';
    throw new TidarError('internal', sentence, { internal: `${name} gave CUDA error ${status}` });
  }
}

/** Copies whole tensors between the host and the GPU, by the provider that `registerProvider` made known. */
export function copyTensors(environment: Pointer, from: readonly Pointer[], to: readonly Pointer[]): void {
  if (from.length === 0) return;
  const lists = [BigUint64Array.from(from), BigUint64Array.from(to)] as const;
  call('CopyTensors', environment, ...lists, 0n, from.length);
}
