import type { CharRange, Expression } from './expression.ts';
import {
  chars,
  charsOf,
  choice,
  complement,
  EMPTY,
  MAX_CODE_POINT,
  normalize,
  repeat,
  sequence,
  text,
} from './expression.ts';
import { GRAMMAR_LIMITS, quoted, refuse } from './refuse.ts';

const ANY: CharRange = [0, MAX_CODE_POINT];
const DIGIT: CharRange[] = [[0x30, 0x39]];
const WORD: CharRange[] = [[0x30, 0x39], [0x41, 0x5a], [0x5f, 0x5f], [0x61, 0x7a]]; // prettier-ignore
const LINE_ENDS: CharRange[] = [[0x0a, 0x0a], [0x0d, 0x0d], [0x2028, 0x2029]]; // prettier-ignore
const SPACE: CharRange[] = [
  [0x09, 0x0d], [0x20, 0x20], [0xa0, 0xa0], [0x1680, 0x1680], [0x2000, 0x200a],
  [0x2028, 0x2029], [0x202f, 0x202f], [0x205f, 0x205f], [0x3000, 0x3000], [0xfeff, 0xfeff],
]; // prettier-ignore
const CLASSES: Readonly<Record<string, readonly CharRange[]>> = {
  d: DIGIT,
  D: complement(DIGIT),
  w: WORD,
  W: complement(WORD),
  s: SPACE,
  S: complement(SPACE),
};
const CONTROLS: Readonly<Record<string, number>> = { t: 9, n: 10, v: 11, f: 12, r: 13, '0': 0 };
const QUANTIFIERS: Readonly<Record<string, readonly [number, number?]>> = { '*': [0], '+': [1], '?': [0, 1] };

/** One alternative of the whole pattern, and the ends that it is tied to. */
interface Alternative {
  readonly body: Expression;
  readonly isTiedToStart: boolean;
  readonly isTiedToEnd: boolean;
}

/** The texts that match the whole pattern, which follows JavaScript's rules with the `u` flag. */
export function wholeMatch(pattern: string): Expression {
  return choice(...new RegexParser(pattern).parse().map(({ body }) => body));
}

/** The texts in which the pattern matches somewhere, as JSON Schema's `pattern` has it. */
export function anyMatch(pattern: string): Expression {
  const anything = repeat(chars(ANY), 0);
  const alternatives = new RegexParser(pattern).parse();
  return choice(
    ...alternatives.map(({ body, isTiedToStart, isTiedToEnd }) =>
      sequence(...(isTiedToStart ? [] : [anything]), body, ...(isTiedToEnd ? [] : [anything])),
    ),
  );
}

class RegexParser {
  readonly #pattern: string;
  readonly #chars: readonly string[];
  #at = 0;
  #depth = 0;

  constructor(pattern: string) {
    this.#pattern = pattern;
    this.#chars = charsOf(pattern);
  }

  parse(): Alternative[] {
    try {
      new RegExp(this.#pattern, 'u');
    } catch (error) {
      throw refuse(`${quoted(this.#pattern)} is no regular expression: ${reasonOf(error)}.`);
    }
    const alternatives: Alternative[] = [];
    do {
      const isTiedToStart = this.#takeAll('^');
      const body = this.#sequence();
      alternatives.push({ body, isTiedToStart, isTiedToEnd: this.#takeAll('$') });
      if (this.#peek() !== undefined && this.#peek() !== '|')
        throw this.#unsupported('an anchor inside the pattern');
    } while (this.#take('|'));
    return alternatives;
  }

  #peek(): string | undefined {
    return this.#chars[this.#at];
  }

  #next(): string {
    return this.#chars[this.#at++] ?? '';
  }

  #take(expected: string): boolean {
    const isThere = this.#chars.slice(this.#at, this.#at + expected.length).join('') === expected;
    if (isThere) this.#at += expected.length;
    return isThere;
  }

  #takeAll(anchor: string): boolean {
    const start = this.#at;
    while (this.#take(anchor));
    return this.#at > start;
  }

  #unsupported(what: string): Error {
    return refuse(
      `The regular expression ${quoted(this.#pattern)} uses ${what}, which is not supported (character ` +
        `${this.#at + 1}); see docs/structured-output.md for what is.`,
    );
  }

  #sequence(): Expression {
    const parts: Expression[] = [];
    for (let next = this.#peek(); next !== undefined && !'|)$'.includes(next); next = this.#peek()) {
      parts.push(this.#quantified(this.#atom()));
    }
    return parts.length === 0 ? EMPTY : sequence(...parts);
  }

  #quantified(atom: Expression): Expression {
    const counts = this.#counts();
    if (counts === undefined) return atom;
    this.#take('?'); // lazy or not, the texts are the same
    const [min, max] = counts;
    if (Math.max(min, max ?? 0) > GRAMMAR_LIMITS.repeat) {
      throw this.#unsupported(`a count above ${GRAMMAR_LIMITS.repeat}`);
    }
    return repeat(atom, min, max);
  }

  #counts(): readonly [number, number?] | undefined {
    const quantifier = QUANTIFIERS[this.#peek() ?? ''];
    if (quantifier !== undefined) this.#at++;
    if (quantifier !== undefined || !this.#take('{')) return quantifier;
    const min = this.#digits();
    if (this.#take('}')) return [min, min];
    this.#take(',');
    if (this.#take('}')) return [min];
    const max = this.#digits();
    this.#take('}');
    return [min, max];
  }

  #digits(): number {
    let digits = '';
    while (/[0-9]/.test(this.#peek() ?? '')) digits += this.#next();
    return Number(digits);
  }

  #atom(): Expression {
    const char = this.#next();
    if (char === '(') return this.#group();
    if (char === '[') return chars(...this.#characterClass());
    if (char === '.') return chars(...complement(LINE_ENDS));
    if (char === '^') throw this.#unsupported('an anchor inside the pattern');
    if (char !== '\\') return text(char);
    const ranges = this.#escape();
    return typeof ranges === 'number' ? text(String.fromCodePoint(ranges)) : chars(...ranges);
  }

  #group(): Expression {
    if (this.#take('?') && !this.#take(':')) {
      if (!this.#take('<') || this.#peek() === '=' || this.#peek() === '!') {
        throw this.#unsupported('a lookaround or a modifier, "(?"');
      }
      while (this.#next() !== '>');
    }
    if (++this.#depth > GRAMMAR_LIMITS.depth)
      throw this.#unsupported(`more than ${GRAMMAR_LIMITS.depth} levels of groups`);
    const options = [this.#sequence()];
    while (this.#take('|')) options.push(this.#sequence());
    if (!this.#take(')')) throw this.#unsupported('an anchor inside a group');
    this.#depth--;
    return choice(...options);
  }

  #characterClass(): CharRange[] {
    const isNegated = this.#take('^');
    const ranges: CharRange[] = [];
    while (!this.#take(']')) {
      const from = this.#classAtom();
      if (typeof from !== 'number') ranges.push(...from);
      else if (this.#peek() === '-' && this.#chars[this.#at + 1] !== ']') {
        this.#at++;
        ranges.push([from, this.#classAtom() as number]); // the `u` flag allows only characters here
      } else ranges.push([from, from]);
    }
    return isNegated ? complement(ranges) : normalize(ranges);
  }

  #classAtom(): number | readonly CharRange[] {
    const char = this.#next();
    if (char !== '\\') return char.codePointAt(0) ?? 0;
    if (this.#take('b')) return 8;
    return this.#escape();
  }

  /** What follows a backslash: one character, or a class of them. */
  #escape(): number | readonly CharRange[] {
    const char = this.#next();
    const ranges = CLASSES[char];
    if (ranges !== undefined) return ranges;
    const control = CONTROLS[char];
    if (control !== undefined) return control;
    if (char === 'x') return this.#hex(2);
    if (char === 'u') return this.#unicodeEscape();
    if (char === 'c') return (this.#next().codePointAt(0) ?? 0) % 32;
    if (char === 'p' || char === 'P') throw this.#unsupported('a Unicode property, "\\p"');
    if (char === 'b' || char === 'B') throw this.#unsupported('a word boundary');
    if (/[1-9k]/.test(char)) throw this.#unsupported('a back reference');
    return char.codePointAt(0) ?? 0;
  }

  #hex(numDigits: number): number {
    this.#at += numDigits;
    return parseInt(this.#chars.slice(this.#at - numDigits, this.#at).join(''), 16);
  }

  #unicodeEscape(): number {
    if (this.#take('{')) {
      let digits = '';
      for (let char = this.#next(); char !== '}'; char = this.#next()) digits += char;
      return this.#character(parseInt(digits, 16));
    }
    const unit = this.#hex(4);
    const isHigh = unit >= 0xd800 && unit < 0xdc00;
    if (!isHigh || !this.#take('\\u')) return this.#character(unit);
    return this.#character(0x10000 + ((unit - 0xd800) << 10) + (this.#hex(4) - 0xdc00));
  }

  #character(codePoint: number): number {
    if (codePoint >= 0xd800 && codePoint <= 0xdfff) throw this.#unsupported('half of a surrogate pair');
    return codePoint;
  }
}

/** The parser's reason without the pattern, which it says once more. */
function reasonOf(error: unknown): string {
  return (error as Error).message.replace(/^Invalid regular expression: \/.*\/\w*: /s, '');
}
