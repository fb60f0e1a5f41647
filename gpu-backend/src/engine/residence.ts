import { MAX_DRAFT_LENGTH } from '@tidar/shared/decoder.ts';
import type { ModelSession } from '../device/device.ts';
import type { Resident } from './active.ts';
import { MemoryBudget, SMALLEST_CAPACITY } from './admission/memory-budget.ts';
import { MIN_ROWS } from './batch.ts';
import { KvPool } from './kv-pool.ts';
import type { Slab, Slot } from './kv-pool.ts';
import { ar } from './plan.ts';
import { PrefixCache } from './prefix-cache/prefix-cache.ts';
import type { PrefixHit } from './prefix-cache/prefix-cache.ts';
import { prepare } from './prepare.ts';
import type { StepMember } from './prepare.ts';

export interface ResidenceOptions {
  /** Of keys and values in all: slots and kept prefixes. */
  readonly maxCacheBytes: number;
  /** Of kept prefixes; 0 keeps none. */
  readonly prefixCacheBytes: number;
  /** Columns of the smallest cache; absent: as many as most questions and answers need. */
  readonly smallestCapacity?: number;
}

/** Room that a sequence is given beside its tokens, so that its first drafts don't move it at once. */
const SCRATCH_COLUMNS = 32;
/** Rows of the largest plan there is: dense, of the longest drafts. */
const MOST_PLAN_ROWS = MAX_DRAFT_LENGTH * (1 + MAX_DRAFT_LENGTH);

export type Members = Map<Resident, StepMember>;

/** Where the sequences' keys and values are: slots, kept prefixes, and who gives way when memory is short. */
export class Residence {
  readonly prefixes: PrefixCache;
  readonly #session: ModelSession;
  readonly #pool: KvPool;
  readonly #maxBytes: number;
  #numYields = 0;

  constructor(session: ModelSession, options: ResidenceOptions) {
    const { numBytesPerColumn, config } = session;
    const { maxCacheBytes: maxBytes, prefixCacheBytes: maxPrefixCacheBytes } = options;
    const maxColumns = config.maxPositions + MOST_PLAN_ROWS;
    this.#session = session;
    this.#maxBytes = maxBytes;
    this.prefixes = new PrefixCache({ maxBytes: maxPrefixCacheBytes, numBytesPerColumn });
    const { smallestCapacity = SMALLEST_CAPACITY } = options;
    const limits = { maxBytes, maxPrefixCacheBytes, numBytesPerColumn, maxColumns, smallestCapacity };
    this.#pool = new KvPool(session, new MemoryBudget(limits, this.prefixes));
  }

  get slabs(): readonly Slab[] {
    return this.#pool.slabs;
  }

  /** How often a sequence gave up its slot for want of memory. */
  get numYields(): number {
    return this.#numYields;
  }

  /** Share of the memory for caches that sequences have. */
  get usage(): number {
    return this.#pool.numTakenBytes / this.#maxBytes;
  }

  /** Gives a sequence a slot, with the columns of the longest kept prefix; false where there is no memory for it now. */
  place(resident: Resident, numColumnsAtOnce: number): boolean {
    const { sequence, salt } = resident;
    const numTokens = Math.min(sequence.tokenIds.length, numColumnsAtOnce);
    const hit = salt === undefined ? undefined : this.prefixes.lookup(salt, sequence.pendingTokenIds);
    try {
      resident.slot = this.#pool.acquire(Math.max(numTokens, hit?.numTokens ?? 0) + SCRATCH_COLUMNS);
      if (resident.slot !== undefined) {
        if (hit !== undefined && hit.numTokens > 0) this.#restore(resident, hit, resident.slot);
        return true;
      }
    } catch (error) {
      this.leave(resident);
      throw error;
    } finally {
      hit?.release();
    }
    // What was found may have been what was in the way: it can't be evicted while it is held.
    resident.slot = this.#pool.acquire(numTokens + SCRATCH_COLUMNS);
    return resident.slot !== undefined;
  }

  /** Frees the slot. */
  leave(resident: Resident): void {
    const { slot } = resident;
    if (slot === undefined) return;
    resident.slot = undefined;
    this.#pool.release(slot);
  }

  /** Says that everything committed must be kept. */
  settle({ slot, sequence }: Resident): void {
    if (slot !== undefined) this.#pool.keep(slot, sequence.numCommitted);
  }

  /** Keeps what is committed for others that begin alike. */
  keepPrefix({ sequence, salt, slot }: Resident): void {
    if (salt === undefined || slot === undefined || sequence.numCommitted === 0) return;
    this.prefixes.insert(salt, sequence.tokenIds, sequence.numCommitted, slot.slab.cache, slot.index);
  }

  /**
   * Makes room for the rows of all members, `residents` being everybody in the order of arrival. Where memory is short
   * plans shrink first; then the youngest gives up its slot and leaves the members: it begins again when there is room.
   * The only one with a slot that still has no room leaves the members too and is returned: all memory is too little.
   */
  fit(members: Members, residents: readonly Resident[]): Resident | undefined {
    for (;;) {
      const crowded = firstCrowded(members, residents);
      if (crowded === undefined) return undefined;
      const { slot, numColumns } = crowded;
      if (this.#pool.grow(slot, numColumns) || this.#shrinkPlans(members, slot.slab)) continue;
      const withSlots = residents.filter((one) => one.slot !== undefined);
      const youngest = withSlots.at(-1);
      if (youngest === undefined) throw new Error('a slot belongs to no sequence');
      if (withSlots.length === 1 && this.#moveAlone(youngest, numColumns)) continue;
      members.delete(youngest);
      if (withSlots.length === 1) return youngest;
      this.leave(youngest);
      youngest.sequence.uncommit();
      this.#numYields += 1;
    }
  }

  /** What must hold between passes. */
  checkIntegrity(residents: Iterable<Resident>): void {
    this.#pool.checkIntegrity();
    this.prefixes.checkIntegrity();
    const slots = new Set(this.#pool.slabs.flatMap((slab) => slab.slots));
    for (const { slot, sequence } of residents) {
      if (slot === undefined) continue;
      if (!slots.delete(slot)) throw new Error('a sequence has a slot that the pool does not know');
      if (slot.numColumns !== sequence.numCommitted)
        throw new Error('a slot does not keep what is committed');
    }
    if (slots.size > 0) throw new Error(`${slots.size} slots belong to no sequence`);
  }

  dispose(): void {
    this.prefixes.setMaxBytes(0);
    this.#pool.dispose();
  }

  #restore(resident: Resident, hit: PrefixHit, slot: NonNullable<Resident['slot']>): void {
    const { sequence } = resident;
    hit.restore(slot.slab.cache, slot.index);
    sequence.commitPending(hit.numTokens);
    this.#pool.keep(slot, hit.numTokens);
    if (sequence.numCompletionTokens === 0) resident.numCachedTokens = hit.numTokens;
  }

  /**
   * The cache of the only one with a slot may still have room for others: it makes way for the next before that is
   * made. Its columns are held aside meanwhile, a copy that counts for nothing. False where memory is too little, and
   * the slot is gone then.
   */
  #moveAlone(resident: Resident, numColumns: number): boolean {
    const { slot, sequence } = resident;
    if (slot === undefined) return false;
    const range = { start: 0, end: sequence.numCommitted };
    const saved = range.end === 0 ? undefined : slot.slab.cache.save(slot.index, range);
    this.leave(resident);
    try {
      const larger = this.#pool.acquire(numColumns);
      resident.slot = larger;
      if (larger === undefined) return false;
      if (saved !== undefined) larger.slab.cache.restore(larger.index, 0, saved, range);
      this.#pool.keep(larger, range.end);
      return true;
    } finally {
      if (resident.slot === undefined) sequence.uncommit();
      saved?.dispose();
    }
  }

  /** Plain decoding, or one row of a prompt, for all in the slab; false if nothing was larger. */
  #shrinkPlans(members: Members, slab: Slab): boolean {
    let hasShrunk = false;
    for (const [resident, { plan, sequence, layout }] of members) {
      const isPlain = plan.numDraftRows === 1 && plan.outcomes.length === 0;
      const canShrink = sequence.options.beta === 1 && plan.numDraftRows > 0 && !isPlain;
      if (resident.slot?.slab !== slab || !canShrink || layout.numRows <= 2) continue;
      members.set(resident, prepare(this.#session.config, sequence, ar()));
      hasShrunk = true;
    }
    return hasShrunk;
  }
}

/** The first slot without room: a run writes as many columns into every slot as the one with the most rows needs. */
function firstCrowded(
  members: Members,
  residents: readonly Resident[],
): { slot: Slot; numColumns: number } | undefined {
  const numRowsOf = new Map<Slab, number>();
  for (const [{ slot }, { layout }] of members) {
    if (slot !== undefined)
      numRowsOf.set(slot.slab, Math.max(MIN_ROWS, numRowsOf.get(slot.slab) ?? 0, layout.numRows));
  }
  for (const { slot, sequence } of residents) {
    if (slot === undefined) continue;
    const numColumns = sequence.numCommitted + (numRowsOf.get(slot.slab) ?? 0);
    if (numColumns > slot.slab.capacity) return { slot, numColumns };
  }
  return undefined;
}
