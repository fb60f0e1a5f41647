import koffi from 'koffi';
import type { ModelConfig } from '../../model/config.ts';
import { cacheName, newCacheName } from '../../model/graph/packed-attention.ts';
import { cacheTensorLength, HostCache } from '../host-cache.ts';
import { Binding } from './binding.ts';
import type { Pointer } from './library.ts';
import type { Handle } from './status.ts';
import { allocateValue, withValueOver } from './value.ts';

interface Allocation {
  readonly value: Handle;
  readonly memory: Pointer;
}

const BYTES = Float32Array.BYTES_PER_ELEMENT;

/**
 * A cache in onnxruntime's memory. For each number of slots that takes part in runs it has a binding over the same
 * memory, where each tensor is an input and an output: runs write in place.
 */
export class CApiCache extends HostCache {
  /** The session that its bindings are for. */
  readonly session: Handle;
  readonly #allocations: Allocation[];
  readonly #bindings = new Map<number, Binding>();

  constructor(session: Handle, config: ModelConfig, numSlots: number, capacity: number) {
    const allocations: Allocation[] = [];
    super(config, numSlots, capacity, (length) => {
      const allocation = allocateValue([numSlots, config.numKeyValueHeads, capacity, config.headDim]);
      allocations.push(allocation);
      return new Float32Array(koffi.view(allocation.memory, length * BYTES)).fill(0);
    });
    this.session = session;
    this.#allocations = allocations;
  }

  /** What runs over slots [0, numSlots) are bound to. */
  firstSlots(numSlots: number): Binding {
    const known = this.#bindings.get(numSlots);
    if (known !== undefined) return known;
    if (this.#allocations.length === 0) throw new Error('the cache was disposed of');
    const binding = new Binding(this.session);
    const { config, capacity } = this;
    const numBytes = cacheTensorLength(config, numSlots, capacity) * BYTES;
    const shape = [numSlots, config.numKeyValueHeads, capacity, config.headDim];
    this.#allocations.forEach(({ memory, value: owner }, index) => {
      const kind = index % 2 === 0 ? 'key' : 'value';
      const layer = Math.floor(index / 2);
      withValueOver(memory, { numBytes, shape, type: 'float32' }, (value) => {
        binding.bind('input', cacheName(kind, layer), value, owner);
        binding.bind('output', newCacheName(kind, layer), value, owner);
      });
    });
    this.#bindings.set(numSlots, binding);
    return binding;
  }

  /** Frees the memory at once: what `tensors` gave before must not be touched afterwards. */
  override dispose(): void {
    super.dispose();
    for (const binding of this.#bindings.values()) binding.dispose();
    this.#bindings.clear();
    for (const { value } of this.#allocations.splice(0)) value.dispose();
  }
}
