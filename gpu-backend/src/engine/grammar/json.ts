import type { CharRange, Expression, Rule } from './expression.ts';
import {
  chars,
  charsOf,
  choice,
  EMPTY,
  intersect,
  MAX_CODE_POINT,
  optional,
  repeat,
  rule,
  sequence,
  subtract,
  text,
} from './expression.ts';

/**
 * The form of JSON that grammars write. Between two parts stands nothing, one space, or a line break with up to
 * MAX_INDENT spaces: enough for compact, one-line and indented JSON, and never an endless run of spaces. Numbers are
 * such as a double holds exactly: digits without end would let a model go on for ever.
 */
const MAX_INDENT = 32;
export const MAX_DIGITS = 15;

const CONTROLS: CharRange = [0x00, 0x1f];
const QUOTE: CharRange = [0x22, 0x22];
const BACKSLASH: CharRange = [0x5c, 0x5c];
const RAW: readonly CharRange[] = subtract([[0, MAX_CODE_POINT]], [CONTROLS, QUOTE, BACKSLASH]);
const SHORT_ESCAPES = new Map([
  ['"', '\\"'],
  ['\\', '\\\\'],
  ['\b', '\\b'],
  ['\f', '\\f'],
  ['\n', '\\n'],
  ['\r', '\\r'],
  ['\t', '\\t'],
]);

export const DIGIT = chars([0x30, 0x39]);
export const NON_ZERO_DIGIT = chars([0x31, 0x39]);
const HEX_DIGIT = chars([0x30, 0x39], [0x41, 0x46], [0x61, 0x66]);
const VALUE = rule('json value');
export const ANY_VALUE = VALUE;
export const ANY_OBJECT = rule('json object');
export const ANY_ARRAY = rule('json array');
export const ANY_STRING = rule('json string');
export const ANY_NUMBER = rule('json number');
export const SPACE = rule('json space');
export const COMMA = sequence(text(','), SPACE);
export const COLON = sequence(text(':'), optional(text(' ')));
export const NULL = text('null');
export const BOOLEAN = choice(text('true'), text('false'));
export const ANY_INTEGER = choice(
  text('0'),
  sequence(optional(text('-')), NON_ZERO_DIGIT, repeat(DIGIT, 0, MAX_DIGITS - 1)),
);
/** The rest of a string whose characters are free, its closing quote included. */
const STRING_REST = rule('json string rest');

/** Characters of these ranges inside a JSON string, each in its one spelling, that of JSON.stringify. */
export function jsonChars(ranges: readonly CharRange[]): Expression {
  const escaped = intersect(ranges, [CONTROLS, QUOTE, BACKSLASH]).flatMap(([from, to]) =>
    Array.from({ length: to - from + 1 }, (_, i) => escapeChar(String.fromCodePoint(from + i))),
  );
  const raw = chars(...intersect(ranges, RAW));
  return escaped.length === 0 ? raw : choice(raw, oneOf(escaped));
}

/** Texts of the same first characters, which are written once. */
function oneOf(texts: readonly string[]): Expression {
  const byPrefix = Map.groupBy(texts, (escape) => escape.slice(0, -1));
  const options = [...byPrefix].map(([prefix, group]) =>
    sequence(
      text(prefix),
      chars(...group.map((escape) => escape.codePointAt(prefix.length) ?? 0).map(single)),
    ),
  );
  return choice(...options);
}

const single = (codePoint: number): CharRange => [codePoint, codePoint];

function escapeChar(char: string): string {
  const isRaw = char >= ' ' && char !== '"' && char !== '\\';
  return isRaw
    ? char
    : (SHORT_ESCAPES.get(char) ?? `\\u${(char.codePointAt(0) ?? 0).toString(16).padStart(4, '0')}`);
}

/** What `expression` derives, written inside a JSON string. */
export function inJsonString(expression: Expression): Expression {
  switch (expression.type) {
    case 'text':
      return text(charsOf(expression.text).map(escapeChar).join(''));
    case 'chars':
      return jsonChars(expression.ranges);
    case 'sequence':
      return sequence(...expression.parts.map(inJsonString));
    case 'choice':
      return choice(...expression.options.map(inJsonString));
    case 'repeat':
      return repeat(inJsonString(expression.body), expression.min, expression.max);
    case 'rule':
    case 'special':
      throw new RangeError(`${expression.type} ${expression.name} inside a string`);
  }
}

/** One value, and no other. */
export function jsonLiteral(value: unknown): Expression {
  if (Array.isArray(value)) return bracketed('[', ']', joined(value.map(jsonLiteral)));
  if (typeof value !== 'object' || value === null) return text(JSON.stringify(value) ?? 'null');
  const members = Object.entries(value).map(([key, member]) =>
    sequence(text(JSON.stringify(key)), COLON, jsonLiteral(member)),
  );
  return bracketed('{', '}', joined(members));
}

const joined = (parts: readonly Expression[]): Expression | undefined =>
  parts.length === 0
    ? undefined
    : sequence(...parts.flatMap((part, i) => (i === 0 ? [part] : [COMMA, part])));

/** Brackets around content; undefined: nothing is between them. */
export function bracketed(open: string, close: string, content: Expression | undefined): Expression {
  return content === undefined
    ? text(open + close)
    : sequence(text(open), SPACE, content, SPACE, text(close));
}

/** A key that is none of `names`. Keys are written in one spelling, so no escape can stand for a name. */
export function otherKey(names: readonly string[]): Expression {
  const rest = sequence(repeat(jsonChars([[0, MAX_CODE_POINT]]), 0), text('"'));
  const unless = (suffixes: readonly string[][]): Expression => {
    const firstChars = [...new Set(suffixes.flatMap(([first]) => first ?? []))];
    const taken = firstChars.map((char) => single(char.codePointAt(0) ?? 0));
    const onwards = firstChars.map((char) =>
      sequence(
        inJsonString(text(char)),
        unless(suffixes.filter(([first]) => first === char).map(([, ...others]) => others)),
      ),
    );
    const isName = suffixes.some((suffix) => suffix.length === 0);
    const other = sequence(jsonChars(subtract([[0, MAX_CODE_POINT]], taken)), rest);
    return choice(...(isName ? [] : [text('"')]), other, ...onwards);
  };
  return names.length === 0
    ? sequence(text('"'), rest)
    : sequence(text('"'), unless(names.map((name) => charsOf(name))));
}

const HEX_ESCAPE = choice(
  sequence(
    chars([0x30, 0x39], [0x41, 0x43], [0x45, 0x46], [0x61, 0x63], [0x65, 0x66]),
    HEX_DIGIT,
    HEX_DIGIT,
    HEX_DIGIT,
  ),
  sequence(chars([0x44, 0x44], [0x64, 0x64]), chars([0x30, 0x37]), HEX_DIGIT, HEX_DIGIT),
);
const ESCAPE = choice(...charsOf('"\\/bfnrt').map(text), sequence(text('u'), HEX_ESCAPE));

const AFTER_STRING = sequence(
  repeat(chars([0x0a, 0x0a], [0x20, 0x20]), 0),
  chars([0x2c, 0x2c], [0x3a, 0x3a], [0x5d, 0x5d], [0x7d, 0x7d]),
);

/** The rules of JSON itself. A string's rest is right-recursive: xgrammar's masks of that form cost least. */
export function jsonRules(): [string, Rule][] {
  const member = sequence(ANY_STRING, COLON, VALUE);
  const fraction = sequence(text('.'), repeat(DIGIT, 1, MAX_DIGITS));
  const exponent = sequence(
    choice(text('e'), text('E')),
    optional(choice(text('+'), text('-'))),
    NON_ZERO_DIGIT,
    optional(DIGIT),
  );
  const number = sequence(
    optional(text('-')),
    choice(text('0'), sequence(NON_ZERO_DIGIT, repeat(DIGIT, 0, MAX_DIGITS - 1))),
    optional(fraction),
    optional(exponent),
  );
  const stringRest = choice(
    text('"'),
    sequence(chars(...RAW), STRING_REST),
    sequence(text('\\'), ESCAPE, STRING_REST),
  );
  const list = (element: Expression): Expression => sequence(element, repeat(sequence(COMMA, element), 0));
  const rules: [Expression, Expression, Expression?][] = [
    [SPACE, choice(EMPTY, text(' '), sequence(text('\n'), repeat(text(' '), 0, MAX_INDENT)))],
    [VALUE, choice(ANY_OBJECT, ANY_ARRAY, ANY_STRING, ANY_NUMBER, BOOLEAN, NULL)],
    [ANY_OBJECT, choice(text('{}'), bracketed('{', '}', list(member)))],
    [ANY_ARRAY, choice(text('[]'), bracketed('[', ']', list(VALUE)))],
    [ANY_STRING, sequence(text('"'), STRING_REST)],
    [STRING_REST, stringRest, AFTER_STRING],
    [ANY_NUMBER, number],
  ];
  return rules.map(([name, body, lookahead]) => [
    name.type === 'rule' ? name.name : '',
    { body, ...(lookahead === undefined ? {} : { lookahead }) },
  ]);
}
