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

/** Attention to so many columns more costs less than a run of one's own. */
const SPARE_COLUMNS = 256;
/** Moving a slot's neighbours along is worth a copy of so much, a few milliseconds. */
const MOST_COPIED_BYTES = 32 << 20;

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
 * kept for the next sequence until its memory is needed. Columns are copied only for sequences that grow into another
 * class, or when a cache is made anew.
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
    const slab = this.#joinable(numColumns) ?? this.#slabWithRoom(numColumns, 1);
    if (slab === undefined) return undefined;
    const slot = new OwnSlot(slab, slab.slots.length);
    slab.slots.push(slot);
    return slot;
  }

  /** Of the slots that are taken, with the columns that they do not use yet. */
  get numTakenBytes(): number {
    const ofSlab = ({ capacity, slots }: OwnSlab): number => capacity * slots.length;
    const numColumns = [...this.#slabs.values()].reduce((total, slab) => total + ofSlab(slab), 0);
    return numColumns * this.#session.numBytesPerColumn;
  }

  /** Says which columns a slot must keep. */
  keep(slot: Slot, numColumns: number): void {
    own(slot).numColumns = numColumns;
  }

  /**
   * Moves the slot to a class with room for so many columns, and its neighbours with it where that is little to copy:
   * so all stay in one run. False where memory does not allow it.
   */
  grow(slot: Slot, numColumns: number): boolean {
    if (numColumns <= slot.slab.capacity) return true;
    const mine = own(slot);
    const all = [...mine.slab.slots];
    const numBytes = all.reduce((total, one) => total + one.numColumns, 0) * this.#session.numBytesPerColumn;
    const together = numBytes <= MOST_COPIED_BYTES ? this.#slabWithRoom(numColumns, all.length) : undefined;
    const target = together ?? this.#slabWithRoom(numColumns, 1);
    if (target === undefined) return false;
    // The last first: nobody has to fill a place that is left.
    for (const one of together === undefined ? [mine] : all.reverse()) this.#move(one, target);
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

  /** The slab with most sequences of those that are not much larger than needed: who joins it shares its runs. */
  #joinable(numColumns: number): OwnSlab | undefined {
    const most = Math.max(2 * numColumns, numColumns + SPARE_COLUMNS);
    const [slab] = this.slabs
      .filter(({ capacity }) => capacity >= numColumns && capacity <= most)
      .sort((a, b) => b.slots.length - a.slots.length);
    return slab && this.#slabWithRoom(slab.capacity, 1);
  }

  /** A slab of the class for so many columns with room for more slots, made or enlarged if memory allows. */
  #slabWithRoom(numColumns: number, numMore: number): OwnSlab | undefined {
    const capacity = this.#budget.capacities.find((one) => one >= numColumns);
    if (capacity === undefined) return undefined;
    const slab = this.#slabs.get(capacity);
    const numNeeded = (slab?.slots.length ?? 0) + numMore;
    const numSlots = slab?.cache.numSlots ?? 0;
    if (slab !== undefined && numNeeded <= numSlots) return slab;
    const cache =
      this.#makeCache(Math.max(numNeeded, 2 * numSlots), capacity) ?? this.#makeCache(numNeeded, capacity);
    if (cache === undefined) return undefined;
    const known = this.#slabs.get(capacity); // what was empty may have been freed for want of memory
    if (known === undefined) {
      const made: OwnSlab = { capacity, cache, slots: [] };
      this.#slabs.set(capacity, made);
      return made;
    }
    for (const { index, numColumns: numKept } of known.slots) {
      known.cache.copyColumns(index, { start: 0, end: numKept }, cache, index);
    }
    this.#free(known);
    known.cache = cache;
    return known;
  }

  #move(slot: OwnSlot, target: OwnSlab): void {
    const { slab, index, numColumns } = slot;
    slab.cache.copyColumns(index, { start: 0, end: numColumns }, target.cache, target.slots.length);
    this.#vacate(slot);
    slot.slab = target;
    slot.index = target.slots.length;
    target.slots.push(slot);
  }

  /** Undefined where memory does not allow it. While a cache is enlarged the old one still counts. */
  #makeCache(numSlots: number, capacity: number): KvCache | undefined {
    const numBytes = this.#budget.bytesFor(capacity, numSlots);
    if (!this.#budget.reserve(numBytes)) {
      this.#freeEmpty();
      if (!this.#budget.reserve(numBytes)) return undefined;
    }
    try {
      return this.#session.createCache(numSlots, capacity);
    } catch (error) {
      this.#budget.release(numBytes);
      throw error;
    }
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
