import type { FinishReason } from '@tidar/shared/protocol.ts';
import { StopStringFilter } from '../decode/stop-strings.ts';
import type { Active } from '../engine/active.ts';
import type { CompiledGrammar } from '../engine/grammar/compiled-grammar.ts';
import type { Tokenizer } from '../model/tokenizer.ts';
import type { EngineEvent, EngineRequest } from './engine-messages.ts';

/** One text of a request. */
export interface Choice {
  readonly index: number;
  /** Absent where the model has no tokenizer. */
  readonly filter: StopStringFilter | undefined;
  /** Set while it has a place in the engine. */
  active: Active | undefined;
  isFinished: boolean;
}

/** A request in the engine. It runs only with credits, so that a slow reader holds up nobody but itself. */
export class OpenRequest {
  readonly id: number;
  readonly request: EngineRequest;
  readonly grammar: CompiledGrammar | undefined;
  readonly choices: readonly Choice[];
  numCredits: number;
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
    this.#emit = options.emit;
    this.choices = Array.from({ length: request.numChoices }, (_, index) => {
      const filter = options.tokenizer && new StopStringFilter(options.tokenizer.stream(), request.stop);
      // A resumed text's beginning was sent before; what was held back of it comes with the next tokens.
      filter?.push(this.committedIds(index));
      return { index, filter, active: undefined, isFinished: false };
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

  emit(event: EngineEvent): void {
    this.#emit(event);
  }

  /** Ends one choice; with the last one, the request. */
  finish(choice: Choice, finishReason: FinishReason): void {
    choice.isFinished = true;
    const rest = choice.filter?.flush() ?? { text: '', stopped: false };
    if (rest.text !== '') this.emit({ type: 'step', choice: choice.index, tokenIds: [], text: rest.text });
    const reason = rest.stopped ? 'stop' : finishReason;
    this.emit({ type: 'finish', choice: choice.index, finishReason: reason });
    if (this.isEnded) this.emit({ type: 'end', numForwardPasses: this.numForwardPasses });
  }
}
