import type { Expression } from '../expression.ts';
import {
  chars,
  charsOf,
  choice,
  complement,
  EMPTY,
  sequence,
  special,
  subtract,
  text,
} from '../expression.ts';
import type { CharRange } from '../expression.ts';
import type { Define } from './rules.ts';

/** A mark that may come in a text, and what comes after it. */
export interface Exit {
  readonly mark: string;
  /** It is a token of its own, without text. */
  readonly isSpecial: boolean;
  readonly then: Expression;
}

export interface FreeTextOptions {
  readonly exits: readonly Exit[];
  /** The text may end without any of them. */
  readonly mayEnd: boolean;
  /** After nothing but blanks, this stands for every text that begins with `{`. */
  readonly object?: Expression | undefined;
}

const BLANKS: readonly CharRange[] = [
  [0x0a, 0x0a],
  [0x20, 0x20],
];
const BRACE: CharRange = [0x7b, 0x7b];

/**
 * Any text up to one of the marks, from where it goes on as its exit says. No mark stands in the text itself: the rules
 * are the states of Aho and Corasick's automaton, each of them the beginning of a mark that the text so far ends with.
 */
export function freeText({ exits, mayEnd, object }: FreeTextOptions, define: Define): Expression {
  const written = exits.filter(({ isSpecial }) => !isSpecial);
  const always = [
    ...(mayEnd ? [EMPTY] : []),
    ...exits.filter(({ isSpecial }) => isSpecial).map(({ mark, then }) => sequence(special(mark), then)),
  ];
  const states = new Set([...written.flatMap(({ mark }) => beginnings(mark)), '']);
  const rules = new Map([...states].map((state) => [state, define.later()]));
  const ruleOf = (state: string): Expression => rules.get(state)?.rule ?? EMPTY;
  const alphabet = [...new Set(written.flatMap(({ mark }) => charsOf(mark)))];
  const others = complement(alphabet.map(single));
  const onwards = (state: string): Expression[] =>
    alphabet.map((char) => sequence(text(char), afterwards(state + char)));
  for (const [state, { set }] of rules)
    set(choice(...always, sequence(chars(...others), ruleOf('')), ...onwards(state)));
  if (object === undefined) return ruleOf('');
  const start = define.later();
  const first = sequence(chars(...subtract(others, [...BLANKS, BRACE])), ruleOf(''));
  start.set(choice(...always, object, sequence(chars(...BLANKS), start.rule), first, ...onwards('')));
  return start.rule;

  function afterwards(read: string): Expression {
    const done = written.find(({ mark }) => read.endsWith(mark));
    if (done !== undefined) return done.then;
    for (let at = 0; at < read.length; at++) if (states.has(read.slice(at))) return ruleOf(read.slice(at));
    return ruleOf('');
  }
}

/** All but the mark itself. */
const beginnings = (mark: string): string[] =>
  charsOf(mark).map((_, length) => charsOf(mark).slice(0, length).join(''));

function single(char: string): CharRange {
  const codePoint = char.codePointAt(0) ?? 0;
  return [codePoint, codePoint];
}
