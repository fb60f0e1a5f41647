import { TidarError } from '@tidar/shared/errors.ts';
import type { Active } from './active.ts';
import type { Drafter, Drafting, DraftWish } from './drafter.ts';
import type { Engine, Turn } from './engine.ts';
import { ar } from './plan.ts';
import type { PlanRule } from './plan-rule.ts';
import type { Draft } from './sequence.ts';

/** One text's drafts as they come. */
interface Growing extends Drafting {
  readonly wish: DraftWish;
  /** The same text in the draft model's engine. */
  readonly twin: Active;
  readonly drafts: Draft[];
  /** Drawn, the last of them possibly no draft: the text's drawer has seen them all. */
  numDrawn: number;
  numPasses: number;
  milliseconds: number;
  isDone: boolean;
}

const AR = ar();
const PLAIN: PlanRule = { type: 'fixed', name: 'ar', next: () => AR };

/**
 * Drafts by a smaller model in an engine of its own, whose every text is the twin of one here: plain decoding, drawn by
 * the text's own drawer (the same noise, penalties and format), so that the draft is likely what verification draws.
 * Before each pass a twin takes over what was decided; the columns that still hold stay.
 */
export class ModelDrafter implements Drafter {
  readonly #engine: Engine;
  readonly #vocabSize: number;
  readonly #twins = new Map<Active, Active>();
  /** Texts that the draft model cannot follow. */
  readonly #lost = new WeakSet<Active>();

  /** Takes the engine over. `vocabSize`: of the model that verifies. */
  constructor(engine: Engine, vocabSize: number) {
    this.#engine = engine;
    this.#vocabSize = vocabSize;
  }

  async draft(texts: readonly DraftWish[]): Promise<ReadonlyMap<Active, Drafting>> {
    const all = texts.flatMap((wish) => this.#begin(wish));
    const numRounds = Math.max(0, ...texts.map(({ maxDrafts }) => maxDrafts));
    try {
      // In each round every text gets a draft, or reads a part of its prompt.
      for (let round = 0; round < numRounds; round++) {
        if (!(await this.#round(all.filter(({ isDone }) => !isDone)))) break;
      }
    } finally {
      for (const { wish, numDrawn } of all) wish.active.sequence.drawer.pop(numDrawn);
    }
    return new Map(all.map((growing) => [growing.wish.active, growing]));
  }

  forget(active: Active): void {
    const twin = this.#twins.get(active);
    if (twin === undefined) return;
    this.#twins.delete(active);
    this.#engine.close(twin);
  }

  checkIntegrity(): void {
    this.#engine.checkIntegrity();
    if (this.#engine.numActive !== this.#twins.size) throw new Error('a draft belongs to no text');
  }

  dispose(): void {
    this.#twins.clear();
    this.#engine.dispose();
  }

  async #round(open: readonly Growing[]): Promise<boolean> {
    if (open.length === 0) return false;
    const startedAt = performance.now();
    const turns = await this.#engine.step(new Set(open.map(({ twin }) => twin)));
    const milliseconds = performance.now() - startedAt;
    const byTwin = new Map(open.map((growing) => [growing.twin, growing]));
    for (const turn of turns) {
      const growing = byTwin.get(turn.active);
      if (growing === undefined) continue;
      growing.numPasses += 1;
      growing.milliseconds += milliseconds;
      this.#take(growing, turn);
    }
    return turns.length > 0;
  }

  #take(growing: Growing, { result, active: twin }: Turn): void {
    const { drafts, wish } = growing;
    if (result instanceof Error) {
      growing.isDone = true;
      return this.#lose(wish.active);
    }
    const [tokenId] = result.tokenIds;
    if (tokenId === undefined) return; // a part of the prompt
    growing.numDrawn += 1;
    const isKnown = tokenId < this.#vocabSize;
    if (isKnown) drafts.push({ tokenId, secondBest: -1, margin: 0 });
    const isOver = twin.sequence.finishReason !== undefined || drafts.length >= wish.maxDrafts;
    growing.isDone = isOver || !isKnown;
  }

  #begin({ active, maxDrafts }: DraftWish): Growing[] {
    const room = this.#engine.config.maxPositions - active.sequence.tokenIds.length;
    const wish = { active, maxDrafts: Math.min(maxDrafts, room) };
    const twin = wish.maxDrafts < 1 ? undefined : this.#twinOf(active);
    if (twin === undefined) return [];
    return [{ wish, twin, drafts: [], numDrawn: 0, numPasses: 0, milliseconds: 0, isDone: false }];
  }

  /** The text's twin, at the text's end; undefined where the draft model cannot have it, now or for good. */
  #twinOf(active: Active): Active | undefined {
    if (this.#lost.has(active)) return undefined;
    const { tokenIds, drawer, options } = active.sequence;
    const known = this.#twins.get(active);
    const isStrange = (id: number): boolean => id >= this.#engine.config.vocabSize;
    if (tokenIds.slice(known?.sequence.numPromptTokens).some(isStrange)) return this.#lose(active);
    if (known !== undefined) {
      this.#engine.rewrite(known, tokenIds);
      return known;
    }
    const { sampling, choice = 0, stopTokenIds } = options;
    const own = {
      promptIds: [...tokenIds],
      maxTokens: Infinity,
      beta: 1,
      sampling,
      choice,
      stopTokenIds,
      drawer,
    };
    try {
      const twin = this.#engine.open(own, { rule: PLAIN, salt: active.salt });
      if (twin !== undefined) this.#twins.set(active, twin);
      return twin;
    } catch (error) {
      if (error instanceof TidarError) return this.#lose(active);
      throw error;
    }
  }

  #lose(active: Active): undefined {
    this.forget(active);
    this.#lost.add(active);
  }
}
