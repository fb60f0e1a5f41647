import { TidarError } from '@tidar/shared/errors.ts';
import type { ModelSession } from '../device/device.ts';
import type { ModelConfig } from '../model/config.ts';
import { Resident } from './active.ts';
import type { Active, OpenOptions } from './active.ts';
import { BatchPacker } from './batch.ts';
import type { SlotRows } from './batch.ts';
import type { Drafter, Drafting, DraftWish } from './drafter.ts';
import type { Slab, Slot } from './kv-pool.ts';
import type { PlanChooser } from './plan-chooser.ts';
import { ar, prefillChunk } from './plan.ts';
import { prepare } from './prepare.ts';
import type { StepMember } from './prepare.ts';
import { Residence } from './residence.ts';
import type { Members, ResidenceOptions } from './residence.ts';
import { runCosts } from './run-costs.ts';
import { segmentSlots } from './segments.ts';
import { Sequence } from './sequence.ts';
import type { SequenceOptions } from './sequence.ts';
import { step } from './step.ts';
import type { StepResult } from './step-result.ts';

export interface EngineOptions extends ResidenceOptions {
  readonly chooser: PlanChooser;
  /** Prompt tokens that a pass takes at most, where nothing else is decoded in it and where something is. */
  readonly prefillTokens: number;
  readonly sharedPrefillTokens: number;
  /** Of texts whose drafts a draft model makes; the engine owns it. */
  readonly drafter?: Drafter | undefined;
}

/** What a forward pass did for one sequence. */
export interface Turn {
  readonly active: Active;
  /** An error ends this sequence alone. */
  readonly result: StepResult | Error;
  readonly isPrefill: boolean;
  /** Of the run that it took part in, with everybody in it. */
  readonly milliseconds: number;
  readonly numSequences: number;
  /** What the draft model did before the pass. */
  readonly drafting?: Drafting | undefined;
}

/**
 * Decodes many sequences at once: they join and leave between forward passes, each with its own plan and sampling.
 * Who else is in a pass changes nothing in a sequence's text. Owns the caches and the kept prefixes.
 */
export class Engine {
  readonly #session: ModelSession;
  readonly #options: EngineOptions;
  readonly #residence: Residence;
  readonly #packer = new BatchPacker();
  /** In the order of arrival. */
  readonly #active = new Set<Resident>();

  constructor(session: ModelSession, options: EngineOptions) {
    this.#session = session;
    this.#options = options;
    this.#residence = new Residence(session, options);
  }

  get config(): ModelConfig {
    return this.#session.config;
  }

  /** Whether texts can have the drafts of a draft model. */
  get hasDrafter(): boolean {
    return this.#options.drafter !== undefined;
  }

  get numActive(): number {
    return this.#active.size;
  }

  /** Kept prefixes, memory, and how often sequences gave up their slots: for metrics and tests. */
  get residence(): Pick<Residence, 'prefixes' | 'usage' | 'numYields'> {
    return this.#residence;
  }

  /**
   * Takes a sequence in; undefined where there is no memory for it now. Close it in the end, however it ends. Its
   * grammar is disposed of then, and at once where it is not taken in.
   */
  open(options: SequenceOptions, open: OpenOptions): Active | undefined {
    try {
      const resident = new Resident(new Sequence(options, this.#session.config.vocabSize), open);
      if (this.#residence.place(resident, this.#options.prefillTokens)) {
        this.#active.add(resident);
        return resident;
      }
    } catch (error) {
      options.grammar?.dispose();
      throw error;
    }
    options.grammar?.dispose();
    if (this.#active.size > 0) return undefined;
    throw new TidarError(
      'overloaded',
      'The prompt does not fit in the memory that the backend may use for caches.',
    );
  }

  /**
   * Frees the slot before the next pass; what was committed is kept for others that begin alike, unless the sequence
   * failed. Closing twice is no error.
   */
  close(active: Active, { hasFailed = false } = {}): void {
    const resident = residentOf(active);
    if (!this.#active.delete(resident)) return;
    try {
      if (!hasFailed) this.#residence.keepPrefix(resident);
    } finally {
      this.#options.drafter?.forget(resident);
      this.#residence.leave(resident);
      resident.sequence.dispose();
    }
  }

  /** The text is `tokenIds` from now on; what is computed of it stays. */
  rewrite(active: Active, tokenIds: readonly number[]): void {
    const resident = residentOf(active);
    resident.sequence.rewrite(tokenIds);
    this.#residence.settle(resident);
  }

  /**
   * One forward pass for those of `ready` that fit in it (see `segmentSlots` for when it is several). Oldest first:
   * a prompt that does not fit in this pass follows in later ones, and who finds no memory waits. No turns: nobody can
   * go on before others do or leave.
   */
  async step(ready: ReadonlySet<Active>): Promise<Turn[]> {
    const present = [...this.#active].filter((active) => ready.has(active));
    const drafting = await this.#draft(present);
    const members = this.#prepareAll(present);
    const outgrown = this.#residence.fit(members, [...this.#active]) ?? this.#homeless(present);
    const turns: Turn[] = outgrown === undefined ? [] : [outgrownTurn(outgrown)];
    for (const slab of this.#residence.slabs) turns.push(...(await this.#runSlab(slab, members)));
    return turns.map((turn) => ({ ...turn, drafting: drafting.get(turn.active) }));
  }

  /** What must hold between passes. */
  checkIntegrity(): void {
    this.#residence.checkIntegrity(this.#active);
    this.#options.drafter?.checkIntegrity();
  }

  dispose(): void {
    for (const active of [...this.#active]) this.close(active);
    this.#options.drafter?.dispose();
    this.#residence.dispose();
  }

  /** Lets the draft model draft for those that go by it. */
  async #draft(ready: readonly Resident[]): Promise<ReadonlyMap<Active, Drafting>> {
    const { drafter } = this.#options;
    const wishes = drafter === undefined ? [] : ready.flatMap((one) => this.#draftWish(one));
    if (drafter === undefined || wishes.length === 0) return NO_DRAFTING;
    const drafting = await drafter.draft(wishes);
    for (const { active } of wishes) active.sequence.propose(drafting.get(active)?.drafts ?? []);
    return drafting;
  }

  #draftWish(active: Resident): DraftWish[] {
    const { rule, sequence, slot } = active;
    const numDrafts = rule.type === 'fixed' ? (rule.numForeignDrafts ?? 0) : 0;
    if (numDrafts === 0 || slot === undefined || !sequence.isPrefilled) return [];
    const numPositions = this.config.maxPositions - sequence.tokenIds.length;
    const numTokens = Math.min(sequence.numRemainingTokens, sequence.grantEnd - sequence.numCompletionTokens);
    return [{ active, maxDrafts: Math.min(numDrafts, numTokens - 1, numPositions) }];
  }

  /** Who finds no memory though nobody has any. */
  #homeless([first]: readonly Resident[]): Resident | undefined {
    return [...this.#active].every(({ slot }) => slot === undefined) ? first : undefined;
  }

  /** Lays out the next pass of each sequence; those without a slot, or whose prompt must wait, have none. */
  #prepareAll(ready: readonly Resident[]): Members {
    const decoding: Resident[] = [];
    const chunks = new Map<Resident, number>();
    const { prefillTokens, sharedPrefillTokens, chooser } = this.#options;
    const isShared = ready.some(({ sequence }) => sequence.isPrefilled);
    let numTokensLeft = isShared ? sharedPrefillTokens : prefillTokens;
    for (const resident of ready) {
      if (resident.slot === undefined && !this.#residence.place(resident, prefillTokens)) continue;
      const { numPendingTokens, isPrefilled } = resident.sequence;
      if (isPrefilled) decoding.push(resident);
      else if (numPendingTokens <= numTokensLeft) {
        decoding.push(resident);
        numTokensLeft -= numPendingTokens;
      } else if (numTokensLeft > 0) {
        chunks.set(resident, numTokensLeft);
        numTokensLeft = 0;
      }
    }
    const numChunkTokens = [...chunks.values()].reduce((total, numTokens) => total + numTokens, 0);
    const plans = chooser.choose(decoding, numChunkTokens);
    const members: Members = new Map();
    const { config } = this.#session;
    decoding.forEach((one, at) => members.set(one, prepare(config, one.sequence, plans[at] ?? ar())));
    for (const [one, n] of chunks) members.set(one, prepare(config, one.sequence, prefillChunk(n)));
    return members;
  }

  /** One run, or several where a slot with many rows would make all others' attention wide. */
  async #runSlab(slab: Slab, members: Members): Promise<Turn[]> {
    const bySlot = new Map([...members].map(([resident, member]) => [resident.slot, { resident, member }]));
    const here = slab.slots.map((slot) => bySlot.get(slot));
    const costs = runCosts(this.#session.config, slab.capacity);
    const segments = segmentSlots(
      here.map((one) => one?.member.layout.numRows ?? 0),
      costs,
    );
    const turns: Turn[] = [];
    for (const { start, end } of segments) {
      const slots = here.slice(start, end).map((one, at) => one?.member ?? idle(slab.slots[start + at]));
      const residents = here.slice(start, end).map((one) => one?.resident);
      turns.push(...(await this.#run(slab, { firstSlot: start, slots, residents })));
    }
    return turns;
  }

  async #run(slab: Slab, { firstSlot, slots, residents }: Run): Promise<Turn[]> {
    const startedAt = performance.now();
    const results = await step(this.#session, slab.cache, this.#packer, slots, firstSlot);
    const milliseconds = performance.now() - startedAt;
    const numSequences = residents.filter((one) => one !== undefined).length;
    const turns: Turn[] = [];
    residents.forEach((active, at) => {
      const [slot, result] = [slots[at], results[at]];
      if (active === undefined || slot === undefined || result === undefined) return;
      this.#residence.settle(active);
      const member = 'sequence' in slot ? slot : undefined;
      const isPrefill = member?.isPrefill ?? false;
      const isChunk = member?.plan.numChunkTokens !== undefined;
      if (isPrefill && !isChunk && !(result instanceof Error)) this.#residence.keepPrefix(active);
      turns.push({ active, result, isPrefill, milliseconds, numSequences });
    });
    this.#options.chooser.observe(turns, slab.capacity);
    return turns;
  }
}

const NO_DRAFTING: ReadonlyMap<Active, Drafting> = new Map();

/** What one run's slots do: members of it, and idle ones between them. */
interface Run {
  readonly firstSlot: number;
  readonly slots: readonly (StepMember | SlotRows)[];
  readonly residents: readonly (Resident | undefined)[];
}

/** All memory there is holds no more of this text: it ends, and who gave way to it goes on. */
function outgrownTurn(active: Resident): Turn {
  const sentence = 'The text outgrew the memory that the backend may use for caches.';
  const result = new TidarError('overloaded', sentence);
  return { active, result, isPrefill: false, milliseconds: 0, numSequences: 1 };
}

function idle(slot: Slot | undefined): SlotRows {
  return { numCommitted: slot?.numColumns ?? 0 };
}

function residentOf(active: Active): Resident {
  if (active instanceof Resident) return active;
  throw new TypeError('the sequence belongs to another engine');
}
