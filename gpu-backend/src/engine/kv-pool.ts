import type { KvCache, ModelSession } from '../device/device.ts';
import type { MemoryBudget } from './admission/memory-budget.ts';

/** A sequence's place in a cache. It moves when its sequence outgrows it, or when a neighbour's place is filled. */
export interface Slot {
  readonly slab: Slab;
  readonly index: number;
  /** Columns [0, numColumns) are kept when it moves; its owner says how many they are. */
  readonly numColumns: number;
}

/** One capacity class: the cache of all sequences that need so many columns, its used slots in front. */
export interface Slab {
  readonly capacity: number;
  readonly cache: KvCache;
  readonly slots: readonly Slot[];
}

interface OwnSlab extends Slab {
  cache: KvCache;
  slots: OwnSlot[];
}

class OwnSlot implements Slot {
  slab: OwnSlab;
  index: number;
  numColumns = 0;

  constructor(slab: OwnSlab, index: number) {
    this.slab = slab;
    this.index = index;
  }
}

/**
 * Owns the caches and gives slots in them. A cache of a class doubles its slots when they are all used; an empty one is
 * kept for the next sequence until its memory is needed. Columns are copied only for a sequence that grows into
 * another class, or when a cache is made anew.
 */
export class KvPool {
  readonly #session: ModelSession;
  readonly #budget: MemoryBudget;
  readonly #slabs = new Map<number, OwnSlab>();

  constructor(session: ModelSession, budget: MemoryBudget) {
    this.#session = session;
    this.#budget = budget;
  }

  /** Slabs with sequences, the smallest class first. */
  get slabs(): readonly Slab[] {
    return [...this.#slabs.values()]
      .filter(({ slots }) => slots.length > 0)
      .sort((a, b) => a.capacity - b.capacity);
  }

  /** A slot with room for so many columns; undefined where memory does not allow it. */
  acquire(numColumns: number): Slot | undefined {
    const slab = this.#slabWithRoom(numColumns);
    if (slab === undefined) return undefined;
    const slot = new OwnSlot(slab, slab.slots.length);
    slab.slots.push(slot);
    return slot;
  }

  /** Says which columns a slot must keep. */
  keep(slot: Slot, numColumns: number): void {
    own(slot).numColumns = numColumns;
  }

  /** Moves the slot to a class with room for so many columns; false where memory does not allow it. */
  grow(slot: Slot, numColumns: number): boolean {
    if (numColumns <= slot.slab.capacity) return true;
    const mine = own(slot);
    const target = this.#slabWithRoom(numColumns);
    if (target === undefined) return false;
    const { slab, index } = mine;
    slab.cache.copyColumns(index, { start: 0, end: mine.numColumns }, target.cache, target.slots.length);
    this.#vacate(mine);
    mine.slab = target;
    mine.index = target.slots.length;
    target.slots.push(mine);
    return true;
  }

  release(slot: Slot): void {
    this.#vacate(own(slot));
  }

  dispose(): void {
    for (const { slots } of this.#slabs.values()) slots.length = 0;
    this.#freeEmpty();
  }

  /** Throws where slots, places and classes don't add up. */
  checkIntegrity(): void {
    this.#budget.checkIntegrity([...this.#slabs.values()].map(({ cache }) => cache));
    for (const [capacity, { cache, slots }] of this.#slabs) {
      if (slots.length > cache.numSlots || cache.capacity !== capacity)
        throw new Error('a cache is too small');
      slots.forEach((slot, index) => {
        if (slot.index !== index || slot.slab.capacity !== capacity) throw new Error('a slot is elsewhere');
        if (slot.numColumns > capacity) throw new Error('a slot keeps more columns than it has');
      });
    }
  }

  /** A slab with a free slot of so many columns, made or enlarged if need be and if memory allows. */
  #slabWithRoom(numColumns: number): OwnSlab | undefined {
    const capacity = this.#budget.capacities.find((one) => one >= numColumns);
    if (capacity === undefined) return undefined;
    const slab = this.#slabs.get(capacity);
    if (slab !== undefined && slab.slots.length < slab.cache.numSlots) return slab;
    const numSlots = slab?.cache.numSlots ?? 0;
    const cache =
      this.#makeCache(Math.max(1, 2 * numSlots), capacity) ?? this.#makeCache(numSlots + 1, capacity);
    if (cache === undefined) return undefined;
    if (slab === undefined) {
      const made: OwnSlab = { capacity, cache, slots: [] };
      this.#slabs.set(capacity, made);
      return made;
    }
    for (const { index, numColumns: numKept } of slab.slots) {
      slab.cache.copyColumns(index, { start: 0, end: numKept }, cache, index);
    }
    this.#free(slab);
    slab.cache = cache;
    return slab;
  }

  /** Undefined where memory does not allow it. While a cache is enlarged the old one still counts. */
  #makeCache(numSlots: number, capacity: number): KvCache | undefined {
    const numBytes = this.#budget.bytesFor(capacity, numSlots);
    if (!this.#budget.reserve(numBytes)) {
      this.#freeEmpty();
      if (!this.#budget.reserve(numBytes)) return undefined;
    }
    return this.#session.createCache(numSlots, capacity);
  }

  #freeEmpty(): void {
    for (const [capacity, slab] of this.#slabs) {
      if (slab.slots.length > 0) continue;
      this.#free(slab);
      this.#slabs.delete(capacity);
    }
  }

  #free({ cache }: OwnSlab): void {
    this.#budget.release(cache.numBytes);
    cache.dispose();
  }

  /** Fills the slot's place with the last one, so that used slots stay in front. */
  #vacate(slot: OwnSlot): void {
    const { slab, index } = slot;
    const last = slab.slots.pop();
    if (last === undefined) throw new Error('a slot was released twice');
    if (last === slot) return;
    slab.cache.copyColumns(last.index, { start: 0, end: last.numColumns }, slab.cache, index);
    last.index = index;
    slab.slots[index] = last;
  }
}

function own(slot: Slot): OwnSlot {
  if (!(slot instanceof OwnSlot)) throw new TypeError('the slot belongs to another pool');
  if (slot.slab.slots[slot.index] !== slot) throw new Error('the slot was released');
  return slot;
}
