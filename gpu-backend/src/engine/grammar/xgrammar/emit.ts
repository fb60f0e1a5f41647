import type { CharRange, Expression, Grammar } from '../expression.ts';
import { charsOf, complement, MAX_CODE_POINT, ROOT } from '../expression.ts';

const FIRST_NON_ASCII = 0x80;

/** The grammar in xgrammar's EBNF. Names become numbers and characters escapes: nothing of a request gets through. */
export function emit(grammar: Grammar): string {
  const names = new Map([...grammar.keys()].map((name, i) => [name, name === ROOT ? ROOT : `r${i}`]));
  const nameOf = (name: string): string => {
    const emitted = names.get(name);
    if (emitted === undefined) throw new RangeError(`no rule is called ${name}`);
    return emitted;
  };
  const lines = [...grammar].map(([name, { body, lookahead }]) => {
    const right = emitExpression(body, nameOf);
    const after = lookahead === undefined ? '' : ` (=${emitExpression(lookahead, nameOf)})`;
    return `${nameOf(name)} ::= ${after === '' ? right : `(${right})`}${after}\n`;
  });
  return lines.join('');
}

function emitExpression(expression: Expression, nameOf: (name: string) => string): string {
  const emitted = (part: Expression): string => emitExpression(part, nameOf);
  switch (expression.type) {
    case 'text':
      return `"${charsOf(expression.text)
        .map((char) => escape(char.codePointAt(0) ?? 0))
        .join('')}"`;
    case 'chars':
      return emitRanges(expression.ranges);
    case 'sequence':
      return `(${expression.parts.map(emitted).join(' ') || '""'})`;
    case 'choice':
      return `(${expression.options.map(emitted).join(' | ')})`;
    case 'repeat':
      return `(${emitted(expression.body)})${emitCount(expression.min, expression.max)}`;
    case 'rule':
      return nameOf(expression.name);
    case 'special':
      throw new RangeError(`xgrammar knows no special tokens, so none called ${expression.name}`);
  }
}

function emitCount(min: number, max: number | undefined): string {
  if (max === undefined && min <= 1) return min === 0 ? '*' : '+';
  return min === 0 && max === 1 ? '?' : `{${min},${max ?? ''}}`;
}

/** A class of all that is not ASCII is written as what it lacks: xgrammar knows such classes by sight, and is fast. */
function emitRanges(ranges: readonly CharRange[]): string {
  const lacking = complement(ranges);
  const emitted = (all: readonly CharRange[]): string =>
    all.map(([from, to]) => (from === to ? escape(from) : `${escape(from)}-${escape(to)}`)).join('');
  const hasAllNonAscii = lacking.every(([, to]) => to < FIRST_NON_ASCII);
  if (hasAllNonAscii && lacking.length > 0) return `[^${emitted(lacking)}]`;
  if (hasAllNonAscii) return `[${emitted([[0, MAX_CODE_POINT]])}]`;
  return `[${emitted(ranges)}]`;
}

function escape(codePoint: number): string {
  const char = String.fromCodePoint(codePoint);
  if (/[A-Za-z0-9 ]/.test(char)) return char;
  const hex = codePoint.toString(16);
  return codePoint > 0xffff ? `\\U${hex.padStart(8, '0')}` : `\\u${hex.padStart(4, '0')}`;
}
