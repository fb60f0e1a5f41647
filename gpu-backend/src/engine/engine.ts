import { TidarError } from '@tidar/shared/errors.ts';
import type { ModelSession } from '../device/device.ts';
import type { ModelConfig } from '../model/config.ts';
import { BatchPacker, numPaddedRows } from './batch.ts';
import { KvPool } from './kv-pool.ts';
import type { Slab, Slot } from './kv-pool.ts';
import type { PlanChooser } from './plan-chooser.ts';
import type { PlanRule } from './plan-rule.ts';
import { ar, prefillChunk } from './plan.ts';
import { PrefixCache } from './prefix-cache/prefix-cache.ts';
import { prepare } from './prepare.ts';
import { Sequence } from './sequence.ts';
import type { SequenceOptions } from './sequence.ts';
import { step } from './step.ts';
import type { StepMember, StepResult } from './step.ts';

export interface EngineOptions {
  readonly chooser: PlanChooser;
  /** Of keys and values in all: slots and kept prefixes. */
  readonly maxCacheBytes: number;
  /** Of kept prefixes; 0 keeps none. */
  readonly prefixCacheBytes: number;
  /** Prompt tokens that a pass takes at most, where nothing else is decoded in it and where something is. */
  readonly prefillTokens: number;
  readonly sharedPrefillTokens: number;
}

export interface OpenOptions {
  readonly rule: PlanRule;
  /** Who may share kept prefixes; absent: this sequence neither uses nor leaves any. */
  readonly salt?: string | undefined;
}

/** A sequence that the engine decodes. */
export interface Active {
  readonly sequence: Sequence;
  readonly rule: PlanRule;
  readonly salt: string | undefined;
  /** Prompt tokens whose columns a kept prefix had. */
  readonly numCachedTokens: number;
}

/** What a forward pass did for one sequence. */
export interface Turn {
  readonly active: Active;
  /** An error ends this sequence alone. */
  readonly result: StepResult | Error;
  readonly isPrefill: boolean;
  /** Of the whole pass, with everybody in it. */
  readonly milliseconds: number;
  readonly numSequences: number;
}

class OwnActive implements Active {
  readonly sequence: Sequence;
  readonly rule: PlanRule;
  readonly salt: string | undefined;
  numCachedTokens = 0;
  slot: Slot | undefined;

  constructor(sequence: Sequence, { rule, salt }: OpenOptions) {
    this.sequence = sequence;
    this.rule = rule;
    this.salt = salt;
  }
}

/** Room that a sequence is given beside its tokens, so that its first drafts don't move it at once. */
const SCRATCH_COLUMNS = 32;

/** A sequence's next pass, and where. */
interface Placed {
  readonly active: OwnActive;
  readonly member: StepMember;
  readonly slot: Slot;
}

/**
 * Decodes many sequences at once: they join and leave between forward passes, each with its own plan and sampling.
 * Who else is in a pass changes nothing in a sequence's text. Owns the caches and the kept prefixes.
 */
export class Engine {
  readonly #session: ModelSession;
  readonly #options: EngineOptions;
  readonly #prefixes: PrefixCache;
  readonly #pool: KvPool;
  readonly #packer = new BatchPacker();
  /** In the order of arrival. */
  readonly #active = new Set<OwnActive>();

  constructor(session: ModelSession, options: EngineOptions) {
    this.#session = session;
    this.#options = options;
    const { numBytesPerColumn } = session;
    this.#prefixes = new PrefixCache({ maxBytes: options.prefixCacheBytes, numBytesPerColumn });
    this.#pool = new KvPool(session, {
      maxBytes: options.maxCacheBytes,
      numOtherBytes: () => this.#prefixes.numBytes,
      reclaim: (numBytes) => this.#reclaim(numBytes),
    });
  }

  get config(): ModelConfig {
    return this.#session.config;
  }

  get numActive(): number {
    return this.#active.size;
  }

  get prefixes(): PrefixCache {
    return this.#prefixes;
  }

  /** Takes a sequence in; undefined where there is no memory for it now. Close it in the end, however it ends. */
  open(options: SequenceOptions, open: OpenOptions): Active | undefined {
    const active = new OwnActive(new Sequence(options, this.#session.config.vocabSize), open);
    if (!this.#place(active)) {
      if (this.#active.size > 0) return undefined;
      throw new TidarError(
        'overloaded',
        'The prompt does not fit in the memory that the backend may use for caches.',
      );
    }
    this.#active.add(active);
    return active;
  }

  /** Frees the slot before the next pass; what it committed stays as a kept prefix. Closing twice is no error. */
  close(active: Active): void {
    const mine = ownActive(active);
    if (!this.#active.delete(mine)) return;
    const { sequence, slot } = mine;
    if (slot !== undefined) {
      if (sequence.numCommitted > 0) this.#keepPrefix(mine, slot);
      this.#pool.release(slot);
      mine.slot = undefined;
    }
    sequence.dispose();
  }

  /**
   * One forward pass for those of `ready` that fit in it (one for each capacity class that they are in). Oldest first:
   * a prompt that does not fit in this pass follows in later ones, and who finds no memory waits.
   */
  async step(ready: ReadonlySet<Active>): Promise<Turn[]> {
    const members = this.#prepareAll([...this.#active].filter((active) => ready.has(active)));
    const placed = this.#fit(members);
    const turns: Turn[] = [];
    for (const slab of this.#pool.slabs) {
      const here = placed.filter(({ slot }) => slot.slab === slab);
      if (here.length > 0) turns.push(...(await this.#run(slab, here)));
    }
    return turns;
  }

  /** What must hold between passes. */
  checkIntegrity(): void {
    this.#pool.checkIntegrity();
    this.#prefixes.checkIntegrity();
    const slots = new Set(this.#pool.slabs.flatMap((slab) => slab.slots));
    for (const { slot, sequence } of this.#active) {
      if (slot === undefined) continue;
      if (!slots.delete(slot)) throw new Error('a sequence has a slot that the pool does not know');
      if (slot.numColumns !== sequence.numCommitted)
        throw new Error('a slot does not keep what is committed');
    }
    if (slots.size > 0) throw new Error(`${slots.size} slots belong to no sequence`);
  }

  dispose(): void {
    for (const active of [...this.#active]) this.close(active);
    this.#prefixes.clear();
    this.#pool.dispose();
  }

  /** Gives a sequence a slot, with the columns of the longest kept prefix. */
  #place(active: OwnActive): boolean {
    const { sequence, salt } = active;
    const numColumns = Math.min(sequence.tokenIds.length, this.#options.prefillTokens) + SCRATCH_COLUMNS;
    const hit = salt === undefined ? undefined : this.#prefixes.lookup(salt, sequence.tokenIds);
    const slot = this.#pool.acquire(Math.max(numColumns, hit?.numTokens ?? 0));
    if (slot === undefined) {
      hit?.release();
      return false;
    }
    active.slot = slot;
    if (hit === undefined || hit.numTokens === 0) return true;
    hit.restore(slot.slab.cache, slot.index);
    sequence.commitPending(hit.numTokens);
    this.#pool.keep(slot, hit.numTokens);
    if (sequence.numCompletionTokens === 0) active.numCachedTokens = hit.numTokens;
    return true;
  }

  /** Lays out the next pass of each sequence; those without a slot, or whose prompt must wait, have none. */
  #prepareAll(ready: readonly OwnActive[]): Map<OwnActive, StepMember> {
    const decoding: OwnActive[] = [];
    const chunks = new Map<OwnActive, number>();
    const { prefillTokens, sharedPrefillTokens } = this.#options;
    const isShared = ready.some(({ sequence }) => sequence.numPendingTokens === 1);
    let numTokensLeft = isShared ? sharedPrefillTokens : prefillTokens;
    for (const active of ready) {
      if (active.slot === undefined && !this.#place(active)) continue;
      const { numPendingTokens } = active.sequence;
      if (numPendingTokens === 1) decoding.push(active);
      else if (numPendingTokens <= numTokensLeft) {
        decoding.push(active);
        numTokensLeft -= numPendingTokens;
      } else if (numTokensLeft > 0) {
        chunks.set(active, numTokensLeft);
        numTokensLeft = 0;
      }
    }
    const numChunkTokens = [...chunks.values()].reduce((total, numTokens) => total + numTokens, 0);
    const plans = this.#options.chooser.choose(decoding, numChunkTokens);
    const { config } = this.#session;
    return new Map([
      ...decoding.map((active, at) => [active, prepare(config, active.sequence, plans[at] ?? ar())] as const),
      ...[...chunks].map(
        ([active, n]) => [active, prepare(config, active.sequence, prefillChunk(n))] as const,
      ),
    ]);
  }

  /** Makes room for the rows of all; who finds none gives up its slot and begins again when there is. */
  #fit(members: ReadonlyMap<OwnActive, StepMember>): Placed[] {
    for (;;) {
      const crowded = [...this.#active].find(
        (active) => this.#numColumnsNeeded(active, members) > capacityOf(active),
      );
      if (crowded === undefined) break;
      this.#growOrYield(crowded, this.#numColumnsNeeded(crowded, members));
    }
    return [...members].flatMap(([active, member]) =>
      active.slot === undefined ? [] : [{ active, member, slot: active.slot }],
    );
  }

  /** A run writes as many columns into every slot as the slot with the most rows needs. */
  #numColumnsNeeded({ slot, sequence }: OwnActive, members: ReadonlyMap<OwnActive, StepMember>): number {
    if (slot === undefined) return 0;
    const neighbours = [...members].filter(([active]) => active.slot?.slab === slot.slab);
    return sequence.numCommitted + numPaddedRows(neighbours.map(([, { layout }]) => layout));
  }

  /** Where memory is short the youngest sequence gives up its slot: what it committed is computed again later. */
  #growOrYield(active: OwnActive, numColumns: number): void {
    const { slot } = active;
    if (slot === undefined || this.#pool.grow(slot, numColumns)) return;
    const youngest = [...this.#active].findLast((other) => other.slot !== undefined) ?? active;
    if (youngest === active && this.#pool.slabs.length === 1 && slot.slab.slots.length === 1) {
      throw new TidarError('overloaded', 'The text outgrew the memory that the backend may use for caches.');
    }
    if (youngest.slot === undefined) return;
    this.#pool.release(youngest.slot);
    youngest.slot = undefined;
    youngest.sequence.uncommit();
  }

  async #run(slab: Slab, placed: readonly Placed[]): Promise<Turn[]> {
    const bySlot = new Map(placed.map((one) => [one.slot.index, one]));
    const slots = slab.slots.map(
      ({ numColumns }, index) => bySlot.get(index)?.member ?? { numCommitted: numColumns },
    );
    const startedAt = performance.now();
    const results = await step(this.#session, slab.cache, this.#packer, slots);
    const milliseconds = performance.now() - startedAt;
    const turns = placed.map(({ active, member, slot }): Turn => {
      const result = results[slot.index] ?? new Error('a member of the pass has no result');
      this.#pool.keep(slot, active.sequence.numCommitted);
      const isPrefill = member.layout.numPendingRows > 1 || member.plan.numDraftRows === 0;
      if (isPrefill && active.sequence.numPendingTokens === 1) this.#keepPrefix(active, slot);
      return { active, result, isPrefill, milliseconds, numSequences: placed.length };
    });
    this.#options.chooser.observe(turns, slab.capacity);
    return turns;
  }

  #keepPrefix({ sequence, salt }: OwnActive, slot: Slot): void {
    if (salt === undefined) return;
    this.#prefixes.insert(salt, sequence.tokenIds, sequence.numCommitted, slot.slab.cache, slot.index);
  }

  #reclaim(numBytes: number): void {
    const { prefixCacheBytes } = this.#options;
    this.#prefixes.setMaxBytes(Math.max(0, this.#prefixes.numBytes - numBytes));
    this.#prefixes.setMaxBytes(prefixCacheBytes);
  }
}

function ownActive(active: Active): OwnActive {
  if (active instanceof OwnActive) return active;
  throw new TypeError('the sequence belongs to another engine');
}

function capacityOf({ slot }: OwnActive): number {
  return slot?.slab.capacity ?? Infinity;
}
