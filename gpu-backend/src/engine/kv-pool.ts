import type { KvCache, ModelSession } from '../device/device.ts';

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

export interface KvPoolOptions {
  readonly maxBytes: number;
  /** Asked to free memory outside the slots (retained prefixes). */
  readonly reclaim: (numBytes: number) => void;
  /** Bytes held outside the slots that count towards the limit. */
  readonly numOtherBytes: () => number;
}

/** Most questions with their answers fit it, so that they share one cache and one pass. */
const SMALLEST_CAPACITY = 256;

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

/** The capacity class of a sequence that needs so many columns: a power of two. */
export function capacityFor(numColumns: number): number {
  let capacity = SMALLEST_CAPACITY;
  while (capacity < numColumns) capacity *= 2;
  return capacity;
}

/**
 * Owns the caches and gives slots in them. A cache of a class doubles its slots when they are all used; an empty one is
 * kept for the next sequence until its memory is needed. Columns are copied only for a sequence that grows into
 * another class, or when a cache is made anew.
 */
export class KvPool {
  readonly #session: ModelSession;
  readonly #options: KvPoolOptions;
  readonly #slabs = new Map<number, OwnSlab>();

  constructor(session: ModelSession, options: KvPoolOptions) {
    this.#session = session;
    this.#options = options;
  }

  /** Slabs with sequences, the smallest class first. */
  get slabs(): readonly Slab[] {
    return [...this.#slabs.values()]
      .filter(({ slots }) => slots.length > 0)
      .sort((a, b) => a.capacity - b.capacity);
  }

  get numBytes(): number {
    let numBytes = 0;
    for (const { cache } of this.#slabs.values()) numBytes += cache.numBytes;
    return numBytes;
  }

  /** A slot with room for so many columns; undefined where memory does not allow it. */
  acquire(numColumns: number): Slot | undefined {
    const slab = this.#slabWithRoom(capacityFor(numColumns));
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
    const target = this.#slabWithRoom(capacityFor(numColumns));
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
    for (const { cache } of this.#slabs.values()) cache.dispose();
    this.#slabs.clear();
  }

  /** Throws where slots, places and classes don't add up. */
  checkIntegrity(): void {
    for (const [capacity, { cache, slots }] of this.#slabs) {
      if (slots.length > cache.numSlots || cache.capacity !== capacity)
        throw new Error('a cache is too small');
      slots.forEach((slot, index) => {
        if (slot.index !== index || slot.slab.capacity !== capacity) throw new Error('a slot is elsewhere');
        if (slot.numColumns > capacity) throw new Error('a slot keeps more columns than it has');
      });
    }
  }

  /** A slab of the class with a free slot, made or enlarged if need be and if memory allows. */
  #slabWithRoom(capacity: number): OwnSlab | undefined {
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
    for (const { index, numColumns } of slab.slots) {
      slab.cache.copyColumns(index, { start: 0, end: numColumns }, cache, index);
    }
    slab.cache.dispose();
    slab.cache = cache;
    return slab;
  }

  /** Undefined where memory does not allow it. While a cache is enlarged the old one still counts. */
  #makeCache(numSlots: number, capacity: number): KvCache | undefined {
    const { maxBytes, reclaim, numOtherBytes } = this.#options;
    const numBytes = numSlots * capacity * this.#session.numBytesPerColumn;
    const excess = (): number => this.numBytes + numOtherBytes() + numBytes - maxBytes;
    if (excess() > 0) this.#freeEmpty();
    if (excess() > 0) reclaim(excess());
    return excess() > 0 ? undefined : this.#session.createCache(numSlots, capacity);
  }

  #freeEmpty(): void {
    for (const [capacity, { cache, slots }] of this.#slabs) {
      if (slots.length > 0) continue;
      cache.dispose();
      this.#slabs.delete(capacity);
    }
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
