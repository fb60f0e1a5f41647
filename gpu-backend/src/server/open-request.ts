import type { FinishReason } from '@tidar/shared/protocol.ts';
import type { Active } from '../engine/active.ts';
import type { CompiledGrammar } from '../engine/grammar/compiled-grammar.ts';
import type { Tokenizer } from '../model/tokenizer.ts';
import { AnswerReader } from './answer-reader.ts';
import type { EngineEvent, EngineRequest, PassStats } from './engine-messages.ts';

/** One text of a request. */
export interface Choice {
  readonly index: number;
  /** Absent where the model has no tokenizer. */
  readonly reader: AnswerReader | undefined;
  /** Set while it has a place in the engine. */
  active: Active | undefined;
  /** What it was resumed with ends by a stop string, which the engine knows nothing of. */
  readonly wasStopped: boolean;
  /** Passes since its last event, which decided nothing. */
  silentPasses: PassStats | undefined;
  isFinished: boolean;
}

/** A request in the engine. It runs only with credits, so that a slow reader holds up nobody but itself. */
export class OpenRequest {
  readonly id: number;
  readonly request: EngineRequest;
  readonly grammar: CompiledGrammar | undefined;
  readonly choices: readonly Choice[];
  numCredits: number;
  /** Tokens of each choice that are granted so far. */
  #endToken: number;
  numForwardPasses = 0;
  isAdmitted = false;
  isCancelled = false;
  readonly #emit: (event: EngineEvent) => void;

  constructor(
    id: number,
    request: EngineRequest,
    options: {
      readonly numCredits: number;
      readonly grammar: CompiledGrammar | undefined;
      readonly tokenizer: Tokenizer | undefined;
      readonly emit: (event: EngineEvent) => void;
    },
  ) {
    this.id = id;
    this.request = request;
    this.grammar = options.grammar;
    this.numCredits = options.numCredits;
    this.#endToken = request.endToken ?? Infinity;
    this.#emit = options.emit;
    this.choices = Array.from({ length: request.numChoices }, (_, index) => {
      const { stop, form } = request;
      const { tokenizer } = options;
      const reader = tokenizer && new AnswerReader({ tokenizer, stop, form, choice: index });
      // A resumed text's beginning was sent before; what was held back of it comes with the next tokens.
      const wasStopped = reader?.push(this.committedIds(index)).stopped ?? false;
      return { index, reader, active: undefined, wasStopped, silentPasses: undefined, isFinished: false };
    });
  }

  /** What a choice has from before. */
  committedIds(choice: number): readonly number[] {
    const { committedByChoice, generate } = this.request;
    return committedByChoice?.[choice] ?? generate.committedIds ?? [];
  }

  get isEnded(): boolean {
    return this.choices.every(({ isFinished }) => isFinished);
  }

  /** Every running choice may send an event. */
  get hasCredits(): boolean {
    return this.numCredits >= this.choices.filter(({ isFinished }) => !isFinished).length;
  }

  /** Gives a choice its place in the engine. */
  place(choice: Choice, active: Active): void {
    choice.active = active;
    active.sequence.grantEnd = this.#endToken;
    if (choice.wasStopped) active.sequence.cutTo(active.sequence.numCompletionTokens);
  }

  /** Lets texts that paused at the end of their grant go on. */
  extend(endToken: number): void {
    this.#endToken = Math.max(this.#endToken, endToken);
    for (const { active } of this.choices)
      if (active !== undefined) active.sequence.grantEnd = this.#endToken;
  }

  emit(event: EngineEvent): void {
    this.#emit(event);
  }

  /** Ends one choice; with the last one, the request. */
  finish(choice: Choice, finishReason: FinishReason): void {
    choice.isFinished = true;
    const hasCalled = finishReason === 'stop' && choice.reader?.endsInCalls === true;
    this.emit({
      type: 'finish',
      choice: choice.index,
      finishReason: hasCalled ? 'tool_calls' : finishReason,
    });
    if (this.isEnded) this.emit({ type: 'end', numForwardPasses: this.numForwardPasses });
  }
}
