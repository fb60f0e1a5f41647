import { CallScanner } from './call-scanner.ts';
import type { AnswerMarks, CallForm, ThoughtMarks } from './forms.ts';
import { ARGS_MARK, CALL_ID_MARK, FORMS, isMarkChar, PYTHON_MARK } from './forms.ts';
import type { TextParameters } from './xml-scanner.ts';
import { XmlScanner } from './xml-scanner.ts';

/** More of a call; a name begins it. */
export interface CallPiece {
  readonly index: number;
  readonly name?: string;
  readonly arguments: string;
}

/** What some characters of a model's text add to its answer. */
export interface AnswerParts {
  readonly reasoning: string;
  readonly text: string;
  readonly calls: readonly CallPiece[];
}

/** What is known before a text begins. */
export interface Beginning {
  /** The prompt ends within a thought. */
  readonly isThinking?: boolean;
  /** Calls stand in place of a text, none after it. */
  readonly isTextOrCalls?: boolean;
  /** What stands for marks that are special tokens; the others are written as they are. */
  readonly markChars?: ReadonlyMap<string, string>;
  /** Of calls in the form of XML. */
  readonly textParameters?: TextParameters | undefined;
}

/** Where the text stands. */
type Place = 'text' | 'thought' | 'call' | 'scan' | 'name' | 'call id' | 'close' | 'between';

/** What grammars let stand before the brace that begins a call. */
const ONLY_BLANKS = /^[ \n]*$/;

/**
 * Takes a model's text apart as it comes: a thought, text, calls, in this order. What is known after some characters follows from these
 * alone, wherever the text was cut on its way: marks that are not complete are held back, and so is the white space
 * before them, which is dropped where a mark follows. A call is not told before its name is complete.
 */
export class AnswerParser {
  readonly #thoughts: ThoughtMarks | undefined;
  readonly #form: CallForm | undefined;
  readonly #textParameters: TextParameters;
  readonly #isTextOrCalls: boolean;
  readonly #pythonMark: string;
  readonly #argsMark: string;
  readonly #callIdMark: string;
  #place: Place;
  /** Characters that are not told yet: white space and the beginning of a mark, or a name that is not complete. */
  #held = '';
  /** White space is dropped until something else comes. */
  #isTrimming: boolean;
  #scanner: CallScanner | XmlScanner | undefined;
  /** Calls whose names are complete. */
  #numCalls = 0;
  #numComplete = 0;
  #hasText = false;
  #reasoning = '';
  #text = '';
  #calls: CallPiece[] = [];

  constructor(
    { thoughts, calls }: AnswerMarks,
    { isThinking = false, isTextOrCalls = false, markChars = new Map(), textParameters = {} }: Beginning = {},
  ) {
    this.#isTextOrCalls = isTextOrCalls;
    this.#textParameters = textParameters;
    const charOf = (mark: string): string => markChars.get(mark) ?? mark;
    const form = calls === undefined ? undefined : FORMS[calls];
    this.#thoughts = thoughts && { open: charOf(thoughts.open), close: charOf(thoughts.close) };
    this.#form = form && { ...form, open: charOf(form.open), close: charOf(form.close) };
    this.#pythonMark = charOf(PYTHON_MARK);
    this.#argsMark = charOf(ARGS_MARK);
    this.#callIdMark = charOf(CALL_ID_MARK);
    this.#place = isThinking ? 'thought' : 'text';
    this.#isTrimming = isThinking;
  }

  /** Whether it ended in calls, all of them complete. */
  get endsInCalls(): boolean {
    return this.#numComplete > 0 && this.#numComplete === this.#numCalls;
  }

  push(text: string): AnswerParts {
    for (const char of text) this.#take(char);
    return this.#told();
  }

  /** The text ends here. */
  flush(): AnswerParts {
    if (this.#place === 'text' || this.#place === 'thought') this.#tell(this.#held);
    this.#held = '';
    return this.#told();
  }

  #told(): AnswerParts {
    const told = { reasoning: this.#reasoning, text: this.#text, calls: this.#calls };
    this.#reasoning = this.#text = '';
    this.#calls = [];
    return told;
  }

  #take(char: string): void {
    switch (this.#place) {
      case 'text':
        return this.#inText(char);
      case 'thought':
        return this.#inThought(char);
      case 'call':
        return this.#beforeCall(char);
      case 'scan':
        return this.#inCall(char);
      case 'name':
      case 'call id':
        return this.#inName(char);
      case 'close':
      case 'between':
        return this.#afterCall(char);
    }
  }

  #inText(char: string): void {
    const form = this.#form;
    const isFirst = !this.#hasText && ONLY_BLANKS.test(this.#held);
    if (form?.open === '' && isFirst && char === '{') return this.#begin(char);
    const call = form?.open === '' ? this.#pythonMark : (form?.open ?? '');
    const thought = this.#thoughts?.open ?? '';
    const mark = this.#hold(char, [this.#hasText ? '' : thought, this.#mayCall ? call : '']);
    if (mark !== undefined) this.#enter(mark === call ? 'call' : 'thought');
  }

  get #mayCall(): boolean {
    return !this.#isTextOrCalls || !this.#hasText;
  }

  #inThought(char: string): void {
    const { close = '' } = this.#thoughts ?? {};
    if (this.#hold(char, [close]) !== undefined) this.#enter('text');
  }

  /** Tells what can be no mark's beginning; returns the mark that is complete. */
  #hold(char: string, marks: readonly string[]): string | undefined {
    // A special token where it marks nothing has no text.
    if (isMarkChar(char) && !marks.includes(char)) return undefined;
    this.#held += char;
    const complete = marks.find((mark) => mark !== '' && this.#held.endsWith(mark));
    if (complete !== undefined) return complete;
    const start = startOfHeld(this.#held, marks);
    this.#tell(this.#held.slice(0, start));
    this.#held = this.#held.slice(start);
    return undefined;
  }

  #tell(text: string): void {
    const told = this.#isTrimming ? text.trimStart() : text;
    if (told === '') return;
    this.#isTrimming = false;
    if (this.#place === 'thought') this.#reasoning += told;
    else {
      this.#hasText ||= told.trim() !== '';
      this.#text += told;
    }
  }

  #enter(place: Place): void {
    this.#place = place;
    this.#held = '';
    this.#isTrimming = true;
  }

  #beforeCall(char: string): void {
    if (this.#form?.body === 'named') {
      this.#place = 'name';
      this.#inName(char);
    } else if (char === (this.#form?.body === 'xml' ? '<' : '{')) this.#begin(char);
  }

  #begin(char: string): void {
    this.#place = 'scan';
    this.#held = '';
    const { body, argumentsKey = '' } = this.#form ?? {};
    this.#scanner = body === 'xml' ? new XmlScanner(this.#textParameters) : new CallScanner(argumentsKey);
    this.#inCall(char);
  }

  #inCall(char: string): void {
    if (isMarkChar(char)) return;
    const { name, arguments: more, isDone } = this.#scanner?.push(char) ?? {};
    if (name !== undefined) this.#named(name);
    if (more !== undefined) this.#argued(more);
    if (isDone === undefined) return;
    this.#numComplete += 1;
    const { body, close = '' } = this.#form ?? {};
    this.#place = body !== 'list' && close !== '' ? 'close' : 'between';
  }

  #named(name: string): void {
    this.#calls.push({ index: this.#numCalls, name, arguments: '' });
    this.#numCalls += 1;
  }

  #argued(more: string): void {
    const last = this.#calls.at(-1);
    if (last === undefined) this.#calls.push({ index: this.#numCalls - 1, arguments: more });
    else this.#calls[this.#calls.length - 1] = { ...last, arguments: last.arguments + more };
  }

  #inName(char: string): void {
    this.#held += char;
    const mark = [this.#argsMark, this.#callIdMark].find((each) => this.#held.endsWith(each));
    if (mark === undefined) return;
    if (this.#place === 'name') this.#named(this.#held.slice(0, -mark.length).trim());
    this.#held = '';
    this.#place = mark === this.#callIdMark ? 'call id' : 'scan';
    this.#scanner = new CallScanner(this.#form?.argumentsKey ?? '', true);
  }

  /** Between calls stands nothing to tell: its form allows white space, and what ends one or begins the next. */
  #afterCall(char: string): void {
    const { body, open = '', close = '' } = this.#form ?? {};
    if (body === 'list' && char === '{') return this.#begin(char);
    this.#held = (this.#held + char).slice(-Math.max(open.length, close.length, 1));
    if (this.#place === 'close' && this.#held.endsWith(close)) {
      this.#place = 'between';
      this.#held = '';
    } else if (this.#place === 'between' && open !== '' && this.#held.endsWith(open)) this.#enter('call');
  }
}

/** Where the white space and the beginning of a mark begin, with which the text ends. */
function startOfHeld(text: string, marks: readonly string[]): number {
  for (let at = 0; at < text.length; at++) {
    const rest = text.slice(at).trimStart();
    if (rest === '' || marks.some((mark) => mark.startsWith(rest))) return at;
  }
  return text.length;
}
