import type { BoundArray } from '../bound-array.ts';
import type { Pointer } from '../c-api/library.ts';
import type { Handle } from '../c-api/status.ts';
import { valueOver } from '../c-api/value.ts';
import type { GpuMemory } from './runtime.ts';

interface Pair {
  readonly shape: readonly number[];
  readonly data: unknown;
  readonly host: Handle;
  readonly device: Handle;
}

/**
 * An array of the host and its like on the GPU, at an address that stays the same until the array outgrows it: bindings
 * and captured graphs know it by its address.
 */
export class Mirror {
  readonly array: BoundArray;
  readonly #memory: GpuMemory;
  #address: Pointer | undefined;
  #numBytes = 0;
  #pair: Pair | undefined;

  constructor(array: BoundArray, memory: GpuMemory) {
    this.array = array;
    this.#memory = memory;
  }

  /** Whether the array still fits; where it doesn't, nothing may be bound to the GPU's part any more. */
  get fits(): boolean {
    return this.#address !== undefined && this.array.numBytes <= this.#numBytes;
  }

  /** Makes room for as much as the host's array has. */
  grow(): void {
    this.dispose();
    this.#numBytes = this.array.buffer.byteLength;
    this.#address = this.#memory.allocate(this.#numBytes);
  }

  /** Both as tensors in the array's present shape, which this object frees. */
  tensors(): { host: Pointer; device: Pointer } {
    const { array } = this;
    if (this.#pair?.shape !== array.shape || this.#pair.data !== array.data) this.#remake();
    return { host: this.#pair?.host.pointer ?? 0n, device: this.#pair?.device.pointer ?? 0n };
  }

  /** Rows [start, end) of both. */
  rows(start: number, end: number): { host: Handle; device: Handle } {
    const { array } = this;
    const [numRows = 1, ...rest] = array.shape;
    const rowBytes = array.numBytes / numRows;
    const layout = { type: array.type, shape: [end - start, ...rest], numBytes: (end - start) * rowBytes };
    const offset = start * rowBytes;
    return {
      host: valueOver(new Uint8Array(array.buffer, offset, layout.numBytes), layout),
      device: valueOver((this.#address ?? 0n) + BigInt(offset), layout, this.#memory.info.pointer),
    };
  }

  dispose(): void {
    this.#forget();
    if (this.#address !== undefined) this.#memory.free(this.#address);
    this.#address = undefined;
  }

  #remake(): void {
    this.#forget();
    const { array } = this;
    if (this.#address === undefined) throw new Error(`${array.name} has no place on the GPU`);
    this.#pair = {
      shape: array.shape,
      data: array.data,
      host: valueOver(array.data, array),
      device: valueOver(this.#address, array, this.#memory.info.pointer),
    };
  }

  #forget(): void {
    this.#pair?.host.dispose();
    this.#pair?.device.dispose();
    this.#pair = undefined;
  }
}
