import type { Expression, Grammar } from '../expression.ts';
import { chars, choice, repeat, sequence, special, text } from '../expression.ts';
import type { AfterThoughtSpec, GrammarSpec } from '../spec.ts';
import { freeText } from './free-text.ts';
import type { Define } from './rules.ts';
import { Rules } from './rules.ts';

const MAX_BLANKS = 8;
export const BLANKS = repeat(chars([0x0a, 0x0a], [0x20, 0x20]), 0, MAX_BLANKS);

/** A mark as the tokenizer has it: a token without text, or its characters. */
export const markOf = (mark: string, specialMarks: readonly string[]): Expression =>
  specialMarks.includes(mark) ? special(mark) : text(mark);

type Thoughts = Pick<AfterThoughtSpec, 'thoughts' | 'isThinking' | 'specialMarks'>;

/** A thought may come first, or comes first where the prompt ends in its middle. */
export function afterThoughts(
  { thoughts, isThinking, specialMarks }: Thoughts,
  rest: Expression,
  define: Define,
): Expression {
  const answer = define(rest);
  // Blanks after a thought are not told.
  const then = define(sequence(BLANKS, answer));
  const exits = [{ mark: thoughts.close, isSpecial: specialMarks.includes(thoughts.close), then }];
  const thought = freeText({ exits, mayEnd: false }, define);
  return isThinking ? thought : choice(answer, sequence(markOf(thoughts.open, specialMarks), thought));
}

/** A text of a form of its own, after a thought. */
export function afterThoughtGrammar(
  spec: AfterThoughtSpec,
  readText: (spec: GrammarSpec) => Grammar,
): Grammar {
  const rules = new Rules();
  return rules.grammar(afterThoughts(spec, rules.embed(readText(spec.text)), rules.define));
}
