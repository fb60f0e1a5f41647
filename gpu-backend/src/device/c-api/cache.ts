import koffi from 'koffi';
import type { ModelConfig } from '../../model/config.ts';
import { cacheName, newCacheName } from '../../model/graph/packed-attention.ts';
import type { ForwardBatch } from '../device.ts';
import { cacheTensorLength, HostCache } from '../host-cache.ts';
import { Binding } from './binding.ts';
import type { Pointer } from './library.ts';
import type { Handle } from './status.ts';
import { allocateValue, withValueOver } from './value.ts';

interface Allocation {
  readonly value: Handle;
  readonly memory: Pointer;
}

/** For each range of slots: plans come in a few shapes at a time. */
const MAX_BINDINGS = 16;
/** Of many slots there are many ranges, and a binding holds tensors for every layer. */
const MAX_RANGES = 32;
const BYTES = Float32Array.BYTES_PER_ELEMENT;

/**
 * A cache in onnxruntime's memory. For each range of slots that takes part in runs it has bindings over the same
 * memory, where each tensor is an input and an output: runs write in place.
 */
export class CApiCache extends HostCache {
  /** The session that its bindings are for. */
  readonly session: Handle;
  readonly #allocations: Allocation[];
  /** By range, then by shape; the last used stands last in both. */
  readonly #bindings = new Map<string, Map<string, Binding>>();

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

  /** What a run over a batch's slots is bound to: where possible what a run of the same shapes was. */
  bindingFor(batch: ForwardBatch): Binding {
    if (this.#allocations.length === 0) throw new Error('the cache was disposed of');
    const { firstSlot = 0, numSlots, numRows, numPaddedRows, numLogitRows, numCandidates } = batch;
    const slots = `${firstSlot} ${numSlots}`;
    const bindings = this.#bindings.get(slots) ?? new Map<string, Binding>();
    this.#bindings.delete(slots);
    this.#bindings.set(slots, bindings);
    if (this.#bindings.size > MAX_RANGES) this.#forgetOldestRange();
    const key = `${numRows} ${numPaddedRows} ${numLogitRows} ${numCandidates}`;
    const binding = bindings.get(key) ?? this.#otherBinding(firstSlot, numSlots, bindings);
    bindings.delete(key);
    bindings.set(key, binding);
    return binding;
  }

  /** How many ranges of slots bindings are kept for. */
  get numBoundRanges(): number {
    return this.#bindings.size;
  }

  #forgetOldestRange(): void {
    const [oldest] = this.#bindings;
    if (oldest === undefined) return;
    this.#bindings.delete(oldest[0]);
    for (const binding of oldest[1].values()) binding.dispose();
  }

  /** A new binding while there are few, then the one unused for longest, of which only the shapes are wrong. */
  #otherBinding(firstSlot: number, numSlots: number, bindings: Map<string, Binding>): Binding {
    const [oldest] = bindings;
    if (oldest === undefined || bindings.size < MAX_BINDINGS) return this.#bindTensors(firstSlot, numSlots);
    bindings.delete(oldest[0]);
    return oldest[1];
  }

  #bindTensors(firstSlot: number, numSlots: number): Binding {
    const binding = new Binding(this.session);
    const { config, capacity } = this;
    const numBytes = cacheTensorLength(config, numSlots, capacity) * BYTES;
    const start = BigInt(cacheTensorLength(config, firstSlot, capacity) * BYTES);
    const shape = [numSlots, config.numKeyValueHeads, capacity, config.headDim];
    this.#allocations.forEach(({ memory, value: owner }, index) => {
      const kind = index % 2 === 0 ? 'key' : 'value';
      const layer = Math.floor(index / 2);
      withValueOver(memory + start, { numBytes, shape, type: 'float32' }, (value) => {
        binding.bind('input', cacheName(kind, layer), value, owner, shape);
        binding.bind('output', newCacheName(kind, layer), value, owner, shape);
      });
    });
    return binding;
  }

  /** Frees the memory at once: what `tensors` gave before must not be touched afterwards. */
  override dispose(): void {
    super.dispose();
    for (const bindings of this.#bindings.values()) bindings.forEach((binding) => binding.dispose());
    this.#bindings.clear();
    for (const { value } of this.#allocations.splice(0)) value.dispose();
  }
}
