import { hashTokenIds } from '@tidar/shared/lease.ts';
import type {
  EndEvent,
  FinishEvent,
  FinishReason,
  StartEvent,
  StepEvent,
  Usage,
} from '@tidar/shared/protocol.ts';
import type { PromptCounts, TokenCounts } from '../ledger/types.ts';
import { ProtocolBreach } from './failures.ts';
import { sizeOf } from './step-parts.ts';

export interface KnownTokens {
  readonly promptTokenIds: readonly number[];
  /** By choice. */
  readonly tokenIds: readonly (readonly number[])[];
}

/** What an answer came to so far, by the ids of its tokens, over all attempts. */
export class Tally {
  readonly tokenIds: number[][];
  /** By choice; undefined: it has not finished. */
  readonly finishReasons: (FinishReason | undefined)[];
  readonly #lastSteps: { numTokens: number; numCharacters: number }[];
  promptTokenIds: readonly number[];
  #prompt: PromptCounts = { promptTokens: 0, cachedTokens: 0 };
  /** Of the attempts before the present one. */
  #numPassesBefore = 0;
  #numPasses = 0;
  hasStarted = false;
  /** When the first token of this connection came, by `performance.now()`. */
  firstTokenAt: number | undefined;

  /** `known`: what a journal has told of an answer that is taken over. */
  constructor(numChoices: number, known: KnownTokens = { promptTokenIds: [], tokenIds: [] }) {
    this.tokenIds = Array.from({ length: numChoices }, (_, choice) => [...(known.tokenIds[choice] ?? [])]);
    this.promptTokenIds = known.promptTokenIds;
    this.finishReasons = Array.from({ length: numChoices }, () => undefined);
    this.#lastSteps = Array.from({ length: numChoices }, () => ({ numTokens: 0, numCharacters: 0 }));
  }

  /** Of each choice. */
  get numTokens(): number[] {
    return this.tokenIds.map(({ length }) => length);
  }

  get prompt(): PromptCounts {
    return this.#prompt;
  }

  get isFinished(): boolean {
    return this.finishReasons.every((reason) => reason !== undefined);
  }

  /** By its limit, if that cut any of its choices. */
  get reason(): Exclude<FinishReason, 'tool_calls'> {
    return this.finishReasons.includes('length') ? 'length' : 'stop';
  }

  /** The prompt is one through all attempts; what of it was cached, the first one tells. */
  start(event: StartEvent): void {
    this.#numPassesBefore += this.#numPasses;
    this.#numPasses = 0;
    if (this.hasStarted) return;
    this.hasStarted = true;
    this.promptTokenIds = event.prompt_token_ids;
    this.#prompt = { promptTokens: event.num_prompt_tokens, cachedTokens: event.num_cached_tokens };
  }

  step(event: StepEvent): void {
    const { choice, token_ids: tokenIds } = event;
    this.firstTokenAt ??= performance.now();
    this.tokenIds[choice]?.push(...tokenIds);
    this.#numPasses += 1;
    const before = tokenIds.length === 0 ? this.lastStep(choice).numCharacters : 0;
    const numTokens = tokenIds.length === 0 ? this.lastStep(choice).numTokens : tokenIds.length;
    this.#lastSteps[choice] = { numTokens, numCharacters: before + sizeOf(event) };
  }

  /** What came with the last tokens of a choice, and after them. */
  lastStep(choice: number): { numTokens: number; numCharacters: number } {
    return this.#lastSteps[choice] ?? { numTokens: 0, numCharacters: 0 };
  }

  /** Whether the choice had not finished before. */
  finish({ choice, finish_reason: reason }: FinishEvent): boolean {
    if (this.finishReasons[choice] !== undefined) return false;
    this.finishReasons[choice] = reason;
    return true;
  }

  /** The backend's own count of forward passes; its token counts must be those of the ids that it sent. */
  end({ usage }: EndEvent): void {
    const { completionTokens } = this.counts();
    if (usage.completion_tokens !== completionTokens) {
      const said = `end says ${usage.completion_tokens} completion tokens`;
      throw new ProtocolBreach(`${said}, ${completionTokens} ids came`);
    }
    this.#numPasses = usage.num_forward_passes;
  }

  counts(): TokenCounts {
    const completionTokens = this.numTokens.reduce((total, count) => total + count, 0);
    return { ...this.#prompt, completionTokens, numForwardPasses: this.#numPassesBefore + this.#numPasses };
  }

  usage(): Usage {
    const { promptTokens, cachedTokens, completionTokens, numForwardPasses } = this.counts();
    return {
      prompt_tokens: promptTokens,
      completion_tokens: completionTokens,
      cached_tokens: cachedTokens,
      num_forward_passes: numForwardPasses,
    };
  }

  hash(): Promise<string> {
    return hashTokenIds(this.tokenIds);
  }
}
