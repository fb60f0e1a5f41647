import type { Expression, Grammar } from './expression.ts';
import { ROOT } from './expression.ts';
import { GRAMMAR_LIMITS, refuse } from './refuse.ts';

/** Refuses grammars that no text ends, that a parser can't walk, or that are too large. */
export function checkGrammar(grammar: Grammar): void {
  checkSize(grammar);
  checkEnds(grammar);
  checkLeftRecursion(grammar);
}

function checkSize(grammar: Grammar): void {
  let numParts = 0;
  for (const { body } of grammar.values()) numParts += countParts(body);
  if (numParts <= GRAMMAR_LIMITS.numParts) return;
  throw refuse(
    `This grammar has ${numParts} parts once its repetitions are written out; at most ` +
      `${GRAMMAR_LIMITS.numParts} are supported. Use smaller counts (maxItems, maxLength, {n,m}) or fewer parts.`,
  );
}

function countParts(expression: Expression): number {
  switch (expression.type) {
    case 'text':
      return 1 + expression.text.length;
    case 'chars':
    case 'rule':
    case 'special':
      return 1;
    case 'sequence':
      return expression.parts.reduce((sum, part) => sum + countParts(part), 1);
    case 'choice':
      return expression.options.reduce((sum, option) => sum + countParts(option), 1);
    case 'repeat':
      return countParts(expression.body) * Math.max(1, expression.min, expression.max ?? expression.min + 1);
  }
}

/** The smallest set of rules that holds every rule of which `holds` is true, given the set so far. */
function fixpoint(
  grammar: Grammar,
  holds: (body: Expression, so: ReadonlySet<string>) => boolean,
): Set<string> {
  const found = new Set<string>();
  for (let size = -1; size !== found.size;) {
    size = found.size;
    for (const [name, { body }] of grammar) if (holds(body, found)) found.add(name);
  }
  return found;
}

/** Rules that derive some finite text. */
export function rulesThatEnd(grammar: Grammar): ReadonlySet<string> {
  return fixpoint(grammar, canEnd);
}

function canEnd(expression: Expression, ending: ReadonlySet<string>): boolean {
  switch (expression.type) {
    case 'text':
    case 'special':
      return true;
    case 'chars':
      return expression.ranges.length > 0;
    case 'sequence':
      return expression.parts.every((part) => canEnd(part, ending));
    case 'choice':
      return expression.options.some((option) => canEnd(option, ending));
    case 'repeat':
      return expression.min === 0 || canEnd(expression.body, ending);
    case 'rule':
      return ending.has(expression.name);
  }
}

function checkEnds(grammar: Grammar): void {
  if (rulesThatEnd(grammar).has(ROOT)) return;
  throw refuse(
    'No text can satisfy this grammar: it asks for a character of an empty class, or it refers to itself without end.',
  );
}

function checkLeftRecursion(grammar: Grammar): void {
  const nullable = fixpoint(grammar, isNullable);
  const firsts = new Map([...grammar].map(([name, { body }]) => [name, firstRules(body, nullable)]));
  const state = new Map<string, 'open' | 'done'>();
  const visit = (name: string): void => {
    if (state.get(name) === 'open') {
      throw refuse(
        `Rule "${name}" begins with itself (left recursion), so it can't be followed from left to right; ` +
          'write the repetition as rule ("," rule)* or the like, and in a schema leave out the branch that is the schema itself.',
      );
    }
    if (state.get(name) === 'done') return;
    state.set(name, 'open');
    for (const next of firsts.get(name) ?? []) visit(next);
    state.set(name, 'done');
  };
  for (const name of grammar.keys()) visit(name);
}

function isNullable(expression: Expression, nullable: ReadonlySet<string>): boolean {
  switch (expression.type) {
    case 'text':
      return expression.text === '';
    case 'chars':
    case 'special':
      return false;
    case 'sequence':
      return expression.parts.every((part) => isNullable(part, nullable));
    case 'choice':
      return expression.options.some((option) => isNullable(option, nullable));
    case 'repeat':
      return expression.min === 0 || isNullable(expression.body, nullable);
    case 'rule':
      return nullable.has(expression.name);
  }
}

/** Rules that may stand at the very beginning. */
function firstRules(expression: Expression, nullable: ReadonlySet<string>): string[] {
  switch (expression.type) {
    case 'text':
    case 'chars':
    case 'special':
      return [];
    case 'sequence': {
      const end = expression.parts.findIndex((part) => !isNullable(part, nullable));
      const leading = end === -1 ? expression.parts : expression.parts.slice(0, end + 1);
      return leading.flatMap((part) => firstRules(part, nullable));
    }
    case 'choice':
      return expression.options.flatMap((option) => firstRules(option, nullable));
    case 'repeat':
      return firstRules(expression.body, nullable);
    case 'rule':
      return [expression.name];
  }
}
