import { TidarError } from '@tidar/shared/errors.ts';
import type { FinishReason } from '@tidar/shared/protocol.ts';
import { sequenceOptions } from '../decode/generate.ts';
import { planRule } from '../decode/plan-rules.ts';
import type { Active } from '../engine/active.ts';
import type { Engine, Turn } from '../engine/engine.ts';
import type { CompiledGrammar } from '../engine/grammar/compiled-grammar.ts';
import type { Tokenizer } from '../model/tokenizer.ts';
import { joined } from './answer-reader.ts';
import type { EngineRequest, FromEngine } from './engine-messages.ts';
import { toEngineError } from './engine-messages.ts';
import { OpenRequest } from './open-request.ts';
import type { Choice } from './open-request.ts';
import { passOf, withSilent } from './pass-stats.ts';

export interface SchedulerOptions {
  readonly engine: Engine;
  readonly tokenizer: Tokenizer | undefined;
  readonly sharePrefixes: boolean;
  readonly emit: (message: FromEngine) => void;
}

interface Place {
  readonly open: OpenRequest;
  readonly choice: Choice;
}

/**
 * Turns requests into sequences of the engine, and its passes into their events. A request waits here only for memory;
 * how many are submitted at once is bounded by whoever submits (see EngineClient).
 */
export class Scheduler {
  readonly #options: SchedulerOptions;
  /** In the order of arrival. */
  readonly #open = new Map<number, OpenRequest>();
  readonly #places = new Map<Active, Place>();

  constructor(options: SchedulerOptions) {
    this.#options = options;
  }

  submit(id: number, request: EngineRequest, numCredits: number, grammar?: CompiledGrammar): void {
    const { tokenizer, emit } = this.#options;
    try {
      const options = { numCredits, grammar, tokenizer };
      const open = new OpenRequest(id, request, {
        ...options,
        emit: (event) => emit({ type: 'event', id, event }),
      });
      this.#open.set(id, open);
    } catch (error) {
      this.fail(id, error);
    }
  }

  addCredits(id: number, numCredits: number): void {
    const open = this.#open.get(id);
    if (open !== undefined) open.numCredits += numCredits;
  }

  /** Texts may go on to this token. */
  extend(id: number, endToken: number): void {
    this.#open.get(id)?.extend(endToken);
  }

  /** Frees the slots before any other forward pass is made; an id that is not open any more is ignored. */
  cancel(id: number): void {
    const open = this.#open.get(id);
    if (open !== undefined) open.isCancelled = true;
  }

  /** Ends a request with an error. */
  fail(id: number, error: unknown): void {
    const open = this.#open.get(id);
    // What a text had computed before its client left is sound; what broke may not be.
    if (open !== undefined) this.#close(open, !open.isCancelled);
    this.#options.emit({ type: 'error', id, error: toEngineError(error) });
  }

  /** One forward pass of all that can run; false where none can until a message comes. */
  async step(): Promise<boolean> {
    this.#sweep();
    this.#place();
    const ready = new Set<Active>();
    for (const [active, { open }] of this.#places) {
      if (open.hasCredits && !active.sequence.isPaused) ready.add(active);
    }
    if (ready.size === 0) return false;
    try {
      const turns = await this.#options.engine.step(ready);
      for (const turn of turns) this.#deliver(turn);
      return turns.length > 0;
    } catch (error) {
      // The pass failed as a whole: none of its texts can be trusted to go on.
      for (const { id } of this.#requestsOf(ready)) this.fail(id, error);
      return true;
    }
  }

  /** What must hold when nothing can run; throws where a slot leaked. */
  checkIntegrity(): void {
    const { engine } = this.#options;
    engine.checkIntegrity();
    if (engine.numActive !== this.#places.size) {
      throw new Error(`the engine has ${engine.numActive} texts, ${this.#places.size} are open`);
    }
    for (const { open, choice } of this.#places.values()) {
      if (this.#open.get(open.id) !== open || choice.isFinished) throw new Error('an ended text has a slot');
    }
  }

  #sweep(): void {
    for (const open of this.#open.values()) {
      if (open.isCancelled) this.fail(open.id, new TidarError('cancelled', 'The generation was cancelled.'));
    }
  }

  /** Gives sequences to requests, in the order of arrival, until memory is short. */
  #place(): void {
    for (const open of this.#open.values()) {
      try {
        if (!this.#placeChoices(open)) return;
      } catch (error) {
        this.fail(open.id, error);
      }
    }
  }

  /** False where memory is short. Choices after the first wait for its prefill, whose columns they then take over. */
  #placeChoices(open: OpenRequest): boolean {
    for (const choice of open.choices) {
      if (choice.isFinished || choice.active !== undefined) continue;
      if (choice.index > 0 && !hasPrefilled(open.choices[0])) return true;
      const active = this.#openSequence(open, choice);
      if (active === undefined) return false;
      open.place(choice, active);
      this.#places.set(active, { open, choice });
      const { finishReason } = active.sequence;
      const isAdmitted = open.request.generate.promptLogprobs === undefined || finishReason !== undefined;
      if (isAdmitted) this.#admit(open, active);
      // The text of what it was resumed with went out before, to its last character.
      if (finishReason === undefined) continue;
      const isStopped = choice.reader?.flush().stopped ?? false;
      this.#finish({ open, choice }, isStopped ? 'stop' : finishReason);
    }
    return true;
  }

  #openSequence(open: OpenRequest, { index }: Choice): Active | undefined {
    const { engine, sharePrefixes } = this.#options;
    const { generate, tenant } = open.request;
    const committedIds = open.committedIds(index);
    const options = { ...generate, committedIds, choice: (generate.choice ?? 0) + index };
    const readsPrompt = generate.promptLogprobs !== undefined;
    return engine.open(sequenceOptions(options, engine.config, open.grammar), {
      rule: planRule(generate.decoder, engine.config.maxPositions),
      salt: readsPrompt ? undefined : sharePrefixes ? '' : tenant,
    });
  }

  #admit(open: OpenRequest, { numCachedTokens, sequence }: Active): void {
    if (open.isAdmitted) return;
    open.isAdmitted = true;
    const { promptLogprobs, options } = sequence;
    const told = options.numPromptLogprobs === undefined ? {} : { promptLogprobs };
    open.emit({ type: 'admitted', numCachedTokens, ...told });
  }

  #deliver(turn: Turn): void {
    const { active, result } = turn;
    const place = this.#places.get(active);
    if (place === undefined) return;
    const { open, choice } = place;
    if (result instanceof Error) return this.fail(open.id, result);
    open.numForwardPasses += 1;
    const { tokenIds, logprobs, numDrafted } = result;
    const pass = withSilent(choice.silentPasses, passOf(turn, result));
    // Nothing is decided in a part of a prompt, nor where masks became tokens behind others.
    choice.silentPasses = tokenIds.length === 0 && numDrafted > 0 ? pass : undefined;
    if (tokenIds.length === 0) return;
    this.#admit(open, active);
    open.numCredits -= 1;
    const kept = choice.reader?.push(tokenIds) ?? { text: '', keptTokenIds: tokenIds, stopped: false };
    const numKept = kept.keptTokenIds.length;
    if (kept.stopped) {
      active.sequence.cutTo(active.sequence.numCompletionTokens - tokenIds.length + numKept);
    }
    const { finishReason, options } = active.sequence;
    const isScored = options.numLogprobs !== undefined && logprobs.length > 0;
    const rest = finishReason === undefined ? undefined : choice.reader?.flush();
    open.emit({
      type: 'step',
      choice: choice.index,
      tokenIds: kept.keptTokenIds,
      ...joined(kept, rest ?? { text: '' }),
      isLast: finishReason !== undefined,
      ...(isScored ? { logprobs: logprobs.slice(0, numKept) } : {}),
      pass,
    });
    if (finishReason !== undefined) this.#finish(place, rest?.stopped === true ? 'stop' : finishReason);
  }

  #finish({ open, choice }: Place, finishReason: FinishReason): void {
    this.#release(choice);
    open.finish(choice, finishReason);
    if (open.isEnded) this.#close(open);
  }

  #close(open: OpenRequest, hasFailed = false): void {
    for (const choice of open.choices) this.#release(choice, hasFailed);
    this.#open.delete(open.id);
  }

  #release(choice: Choice, hasFailed = false): void {
    const { active } = choice;
    if (active === undefined) return;
    choice.active = undefined;
    this.#places.delete(active);
    this.#options.engine.close(active, { hasFailed });
  }

  #requestsOf(ready: ReadonlySet<Active>): Set<OpenRequest> {
    return new Set([...ready].flatMap((active) => this.#places.get(active)?.open ?? []));
  }
}

/** Whether the first choice's prompt is computed, or will not be now. */
function hasPrefilled(first: Choice | undefined): boolean {
  const sequence = first?.active?.sequence;
  return first === undefined || first.isFinished || sequence?.isPaused || sequence?.isPrefilled === true;
}
