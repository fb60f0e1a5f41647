import type { CharRange, Expression, Grammar, Rule } from './expression.ts';
import { chars, choice, complement, EMPTY, repeat, ROOT, rule, sequence, text } from './expression.ts';
import { GRAMMAR_LIMITS, refuse } from './refuse.ts';

const QUANTIFIERS: Readonly<Record<string, readonly [number, number?]>> = { '*': [0], '+': [1], '?': [0, 1] };
const ESCAPES: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t', f: '\f', v: '\v', b: '\b' };
const HEX_DIGITS: Readonly<Record<string, number>> = { x: 2, u: 4, U: 8 };

/** Reads a grammar in the EBNF of llama.cpp (GBNF) and xgrammar. */
export function parseEbnf(source: string): Grammar {
  return new EbnfParser(source).parse();
}

class EbnfParser {
  readonly #source: string;
  readonly #rules = new Map<string, Rule>();
  readonly #used = new Set<string>();
  #at = 0;
  #depth = 0;

  constructor(source: string) {
    this.#source = source;
  }

  parse(): Grammar {
    this.#skipSpace();
    while (this.#at < this.#source.length) {
      const name = this.#name();
      if (name === undefined) throw this.#wrong('a rule should begin here, name ::= …');
      if (!this.#take('::=')) throw this.#wrong('"::=" should follow the name of a rule');
      if (this.#rules.has(name)) throw this.#wrong(`rule "${name}" is defined twice`);
      this.#rules.set(name, { body: this.#choice() });
    }
    if (!this.#rules.has(ROOT)) throw refuse(`The grammar has no rule "${ROOT}", where it would begin.`);
    const missing = [...this.#used].find((name) => !this.#rules.has(name));
    if (missing !== undefined) throw refuse(`The grammar uses rule "${missing}", which it does not define.`);
    return this.#rules;
  }

  #wrong(what: string): Error {
    const lines = this.#source.slice(0, this.#at).split('\n');
    return refuse(
      `The grammar can't be read at line ${lines.length}, column ${(lines.at(-1) ?? '').length + 1}: ${what}.`,
    );
  }

  #match(pattern: RegExp): string | undefined {
    const sticky = new RegExp(pattern, 'yu');
    sticky.lastIndex = this.#at;
    const found = sticky.exec(this.#source)?.[0];
    if (found !== undefined) this.#at += found.length;
    return found;
  }

  /** Spaces, line breaks and comments. */
  #skipSpace(): void {
    this.#match(/(?:\s|#[^\n]*)*/);
  }

  #take(expected: string): boolean {
    const isThere = this.#source.startsWith(expected, this.#at);
    if (isThere) this.#at += expected.length;
    if (isThere) this.#skipSpace();
    return isThere;
  }

  #name(): string | undefined {
    const name = this.#match(/[A-Za-z_][A-Za-z0-9_.-]*/);
    if (name !== undefined) this.#skipSpace();
    return name;
  }

  #choice(): Expression {
    if (++this.#depth > GRAMMAR_LIMITS.depth)
      throw this.#wrong(`more than ${GRAMMAR_LIMITS.depth} levels of brackets`);
    const options = [this.#sequence()];
    while (this.#take('|')) options.push(this.#sequence());
    this.#depth--;
    return choice(...options);
  }

  #sequence(): Expression {
    const parts: Expression[] = [];
    for (let part = this.#primary(); part !== undefined; part = this.#primary()) {
      const body = part;
      const counts = this.#counts();
      if (Math.max(...(counts ?? [0]).filter((count) => count !== undefined)) > GRAMMAR_LIMITS.repeat) {
        throw this.#wrong(`a count above ${GRAMMAR_LIMITS.repeat} is not supported`);
      }
      parts.push(counts === undefined ? body : repeat(body, ...counts));
    }
    return parts.length === 0 ? EMPTY : sequence(...parts);
  }

  #primary(): Expression | undefined {
    const start = this.#at;
    if (this.#take('(')) return this.#group();
    if (this.#match(/"/) !== undefined) return this.#literal();
    if (this.#match(/\[/) !== undefined) return this.#characterClass();
    const name = this.#name();
    if (name === undefined) return undefined;
    if (this.#source.startsWith('::=', this.#at)) {
      this.#at = start; // the next rule begins
      return undefined;
    }
    this.#used.add(name);
    return rule(name);
  }

  #group(): Expression {
    if (this.#source.startsWith('=', this.#at)) throw this.#wrong('lookahead, "(=", is not supported');
    const body = this.#choice();
    if (!this.#take(')')) throw this.#wrong('")" is missing');
    return body;
  }

  #literal(): Expression {
    let value = '';
    while (this.#match(/"/) === undefined) value += String.fromCodePoint(this.#character('"'));
    this.#skipSpace();
    return text(value);
  }

  #characterClass(): Expression {
    const isNegated = this.#match(/\^/) !== undefined;
    const ranges: CharRange[] = [];
    while (this.#match(/\]/) === undefined) {
      const from = this.#character(']');
      const isRange = this.#match(/-(?!\])/) !== undefined;
      const to = isRange ? this.#character(']') : from;
      if (to < from) throw this.#wrong('a range of characters ends before it begins');
      ranges.push([from, to]);
    }
    this.#skipSpace();
    return chars(...(isNegated ? complement(ranges) : ranges));
  }

  #character(end: string): number {
    const char = this.#match(/[^\n\r]/);
    if (char === undefined) throw this.#wrong(`${JSON.stringify(end)} is missing`);
    if (char !== '\\') return char.codePointAt(0) ?? 0;
    const escaped = this.#match(/[^\n\r]/) ?? '';
    const numDigits = HEX_DIGITS[escaped];
    if (numDigits === undefined) return this.#escapedCharacter(escaped);
    const codePoint = parseInt(this.#match(new RegExp(`[0-9A-Fa-f]{${numDigits}}`)) ?? '', 16);
    const isCharacter = codePoint <= 0x10ffff && !(codePoint >= 0xd800 && codePoint <= 0xdfff);
    if (!isCharacter)
      throw this.#wrong(`"\\${escaped}" wants ${numDigits} hexadecimal digits of a character`);
    return codePoint;
  }

  #escapedCharacter(escaped: string): number {
    if (/[A-Za-z0-9]/.test(escaped) && ESCAPES[escaped] === undefined) {
      throw this.#wrong(`the escape "\\${escaped}" is not supported`);
    }
    return (ESCAPES[escaped] ?? escaped).codePointAt(0) ?? 0x5c;
  }

  #counts(): readonly [number, number?] | undefined {
    const quantifier = QUANTIFIERS[this.#match(/[*+?]/) ?? ''];
    const braces = quantifier === undefined ? this.#match(/\{\s*\d+\s*(?:,\s*\d*\s*)?\}/) : undefined;
    this.#skipSpace();
    if (braces === undefined) return quantifier;
    const [min = 0, max] = [...braces.matchAll(/\d+/g)].map(([digits]) => Number(digits));
    if (!braces.includes(',')) return [min, min];
    if (max !== undefined && max < min) throw this.#wrong('a count ends before it begins');
    return max === undefined ? [min] : [min, max];
  }
}
