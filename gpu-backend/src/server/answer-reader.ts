import { createHash } from 'node:crypto';
import type { ToolCallPiece } from '@tidar/shared/chat.ts';
import { StopStringFilter } from '../decode/stop-strings.ts';
import { markChar, markNames } from '../model/answer/forms.ts';
import type { AnswerParts } from '../model/answer/parser.ts';
import { AnswerParser } from '../model/answer/parser.ts';
import type { Tokenizer } from '../model/tokenizer.ts';
import type { AnswerForm } from './answer-form.ts';

const ID_LENGTH = 24;

/** What some tokens add to an answer, in the protocol's words. */
export interface AnswerPiece {
  readonly text: string;
  readonly reasoning?: string;
  readonly tool_calls?: ToolCallPiece[];
}

export interface AnswerReaderOptions {
  readonly tokenizer: Tokenizer;
  readonly stop: readonly string[];
  /** Absent: the text is the answer as it stands. */
  readonly form: AnswerForm | undefined;
  readonly choice: number;
}

/**
 * Turns the tokens of a choice into its answer. What is known after n tokens follows from these n alone, so that any
 * reader may go on from any of them.
 */
export class AnswerReader {
  readonly #filter: StopStringFilter;
  readonly #parser: AnswerParser | undefined;
  readonly #idPrefix: string;

  constructor({ tokenizer, stop, form, choice }: AnswerReaderOptions) {
    const marks = form === undefined ? [] : markNames(form.marks);
    this.#filter = new StopStringFilter(tokenizer.stream(marks), stop);
    this.#parser =
      form && new AnswerParser(form.marks, { ...form, markChars: markCharsOf(marks, tokenizer) });
    this.#idPrefix = `${form?.requestId ?? ''} ${choice}`;
  }

  /** Whether it ended in calls of tools. */
  get endsInCalls(): boolean {
    return this.#parser?.endsInCalls === true;
  }

  push(tokenIds: readonly number[]): AnswerPiece & { keptTokenIds: number[]; stopped: boolean } {
    const { text, keptTokenIds, stopped } = this.#filter.push(tokenIds);
    return { ...this.#piece(text), keptTokenIds, stopped };
  }

  /** Ends the answer: what was held back is certain now. */
  flush(): AnswerPiece & { stopped: boolean } {
    const { text, stopped } = this.#filter.flush();
    const last = this.#parser && this.#told(this.#parser.flush());
    const piece = this.#piece(text);
    return { ...(last === undefined ? piece : joined(piece, last)), stopped };
  }

  #piece(text: string): AnswerPiece {
    return this.#parser === undefined ? { text } : this.#told(this.#parser.push(text));
  }

  #told({ text, reasoning, calls }: AnswerParts): AnswerPiece {
    return {
      text,
      ...(reasoning === '' ? {} : { reasoning }),
      ...(calls.length === 0 ? {} : { tool_calls: calls.map((call) => ({ ...this.#idOf(call), ...call })) }),
    };
  }

  /** Only where a call begins. The same for each attempt and each reader. */
  #idOf({ index, name }: AnswerParts['calls'][number]): { id?: string } {
    if (name === undefined) return {};
    const hash = createHash('sha256').update(`${this.#idPrefix} ${index}`).digest('hex');
    return { id: `call_${hash.slice(0, ID_LENGTH)}` };
  }
}

/** As the tokenizer's stream tells them. */
function markCharsOf(marks: readonly string[], tokenizer: Tokenizer): Map<string, string> {
  return new Map(
    marks.flatMap((mark, index) => (tokenizer.isSpecial(mark) ? [[mark, markChar(index)] as const] : [])),
  );
}

export const isEmptyPiece = ({ text, reasoning, tool_calls: calls }: AnswerPiece): boolean =>
  text === '' && reasoning === undefined && calls === undefined;

/** One piece after the other. */
export function joined(first: AnswerPiece, second: AnswerPiece): AnswerPiece {
  const reasoning = (first.reasoning ?? '') + (second.reasoning ?? '');
  const calls = [...(first.tool_calls ?? []), ...(second.tool_calls ?? [])];
  return {
    text: first.text + second.text,
    ...(reasoning === '' ? {} : { reasoning }),
    ...(calls.length === 0 ? {} : { tool_calls: calls }),
  };
}
