import type {
  EndEvent,
  FinishEvent,
  FinishReason,
  StepEvent,
  TokenLogprob,
  Usage,
} from '@tidar/shared/protocol.ts';
import { traceOf } from './answer.ts';
import type { ResponseText } from './responses-object.ts';

/** What came of a text since the last time. */
interface News {
  delta: string;
  /** Of the tokens that end in it. */
  logprobs: TokenLogprob[];
  steps: object[];
}

/** The text of a response while its events come. */
export class GrowingText implements ResponseText {
  text = '';
  logprobs: TokenLogprob[] | undefined;
  readonly steps: object[] = [];
  finishReason: FinishReason | undefined;
  usage: Usage | undefined;
  /** Where each token with a log-probability ends in the text: of a part of a character, after the character. */
  readonly #ends: number[] = [];
  readonly #decoder = new TextDecoder('utf-8', { fatal: false, ignoreBOM: true });
  #numDecoded = 0;
  #numTaken = 0;
  #numScores = 0;
  #numStepsTaken = 0;

  add(event: StepEvent | FinishEvent | EndEvent): void {
    if (event.type === 'end') this.usage = event.usage;
    else if (event.type === 'finish') this.finishReason = event.finish_reason;
    else this.#step(event);
  }

  /** What is new after so many characters at least; undefined: nothing. */
  take(numHad: number): News | undefined {
    const from = Math.max(this.#numTaken, numHad);
    if (this.text.length <= from) return undefined;
    const first = this.#scoresUpTo(from);
    const end = this.#scoresUpTo(this.text.length);
    const news = {
      delta: this.text.slice(from),
      logprobs: this.logprobs?.slice(first, end) ?? [],
      steps: this.steps.slice(this.#numStepsTaken),
    };
    this.#numTaken = this.text.length;
    this.#numStepsTaken = this.steps.length;
    return news;
  }

  #step(event: StepEvent): void {
    this.text += event.text;
    const trace = traceOf(event);
    if (trace !== undefined) this.steps.push(trace);
    for (const logprob of event.logprobs ?? []) this.#score(logprob);
  }

  #score(logprob: TokenLogprob): void {
    (this.logprobs ??= []).push(logprob);
    const text = this.#decoder.decode(Uint8Array.from(logprob.bytes ?? []), { stream: true });
    this.#numDecoded += text.length;
    this.#ends.push(text === '' ? this.#numDecoded + 1 : this.#numDecoded);
  }

  /** How many tokens end in the first characters; asked for ever more of them. */
  #scoresUpTo(numCharacters: number): number {
    while ((this.#ends[this.#numScores] ?? Infinity) <= numCharacters) this.#numScores += 1;
    return this.#numScores;
  }
}
