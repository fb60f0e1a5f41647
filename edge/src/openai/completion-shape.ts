import type { FinishReason, StartEvent, TokenLogprob } from '@tidar/shared/protocol.ts';
import {
  type AnswerShape,
  type ChoicePart,
  type ChoiceWriter,
  startOf,
  type WholeChoice,
} from './answer-shape.ts';

/** The log-probabilities of a completion: lists that go side by side, one entry a token. */
interface Logprobs {
  tokens: string[];
  token_logprobs: (number | null)[];
  /** By token as it is spelled; its own and the likeliest ones beside it. */
  top_logprobs: (Record<string, number> | null)[];
  /** In code points, from the choice's beginning; of a stream that goes on somewhere, from there. */
  text_offset: number[];
}

/** The form of `POST /v1/completions`; `echo` is the prompt, where each choice repeats it. */
export function completionShape(echo?: string): AnswerShape {
  return {
    prefix: 'cmpl',
    object: 'text_completion',
    chunkObject: 'text_completion',
    writer: (start) => new CompletionWriter(start, echo),
  };
}

class CompletionWriter implements ChoiceWriter {
  readonly #start: StartEvent;
  readonly #echo: string | undefined;
  readonly #offsets = new Map<number, Offsets>();

  constructor(start: StartEvent, echo: string | undefined) {
    this.#start = start;
    this.#echo = echo;
  }

  start(): object {
    // With echo the prompt's log-probabilities stand with its text.
    return this.#echo === undefined ? startOf(this.#start) : { seed: this.#start.seed };
  }

  opening(index: number): object {
    return choiceOf(index, this.#echo ?? '', this.#echoed(index));
  }

  part(index: number, { text, logprobs }: ChoicePart): object {
    return choiceOf(index, text, logprobs && this.#list(index, logprobs));
  }

  finish(index: number, reason: FinishReason): object {
    return choiceOf(index, '', undefined, reason);
  }

  whole(index: number, { content, logprobs, finishReason }: WholeChoice): object {
    const echoed = this.#echoed(index);
    const own = logprobs && this.#list(index, logprobs);
    const both = echoed === undefined ? own : joined(echoed, own);
    return choiceOf(index, (this.#echo ?? '') + content, both, finishReason ?? null);
  }

  /** The prompt's; nothing predicts its first token, which is what the others leave of its text. */
  #echoed(index: number): Logprobs | undefined {
    const { prompt_logprobs: scores } = this.#start;
    if (this.#echo === undefined) return undefined;
    const offsets = this.#offsetsOf(index);
    if (scores === undefined) {
      offsets.skip(this.#echo);
      return undefined;
    }
    const rest = scores.slice(1).filter((score) => score !== null);
    const first = firstBytes(this.#echo, rest);
    const head = {
      tokens: [spelled(first)],
      token_logprobs: [null],
      top_logprobs: [null],
      text_offset: [offsets.next(first)],
    };
    return joined(head, this.#list(index, rest));
  }

  #list(index: number, logprobs: readonly TokenLogprob[]): Logprobs {
    const offsets = this.#offsetsOf(index);
    return {
      tokens: logprobs.map(({ token }) => token),
      token_logprobs: logprobs.map(({ logprob }) => logprob),
      top_logprobs: logprobs.map((logprob) =>
        Object.fromEntries([...logprob.top, logprob].map(({ token, logprob: value }) => [token, value])),
      ),
      text_offset: logprobs.map(({ bytes }) => offsets.next(bytes)),
    };
  }

  #offsetsOf(index: number): Offsets {
    const offsets = this.#offsets.get(index) ?? new Offsets();
    this.#offsets.set(index, offsets);
    return offsets;
  }
}

/** Where tokens begin in their text; a character of several tokens begins with the first of them. */
class Offsets {
  readonly #decoder = new TextDecoder('utf-8', { fatal: false, ignoreBOM: true });
  #numCodePoints = 0;

  next(bytes: ArrayLike<number> | null): number {
    const offset = this.#numCodePoints;
    this.skip(this.#decoder.decode(Uint8Array.from(bytes ?? []), { stream: true }));
    return offset;
  }

  skip(text: string): void {
    this.#numCodePoints += Array.from(text).length;
  }
}

function firstBytes(prompt: string, rest: readonly TokenLogprob[]): Uint8Array {
  const numBytes = rest.reduce((total, { bytes, token }) => total + (bytes?.length ?? byteLength(token)), 0);
  const bytes = new TextEncoder().encode(prompt);
  return bytes.slice(0, bytes.length - numBytes);
}

/** Bytes that are no whole characters are spelled as OpenAI spells them: `bytes:\xe2\x82`. */
function spelled(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return `bytes:${Array.from(bytes, (byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join('')}`;
  }
}

const byteLength = (text: string): number => new TextEncoder().encode(text).length;

function joined(one: Logprobs, other: Logprobs | undefined): Logprobs {
  if (other === undefined) return one;
  return {
    tokens: [...one.tokens, ...other.tokens],
    token_logprobs: [...one.token_logprobs, ...other.token_logprobs],
    top_logprobs: [...one.top_logprobs, ...other.top_logprobs],
    text_offset: [...one.text_offset, ...other.text_offset],
  };
}

function choiceOf(
  index: number,
  text: string,
  logprobs: Logprobs | undefined,
  finishReason: FinishReason | null = null,
): object {
  return { index, text, logprobs: logprobs ?? null, finish_reason: finishReason };
}
