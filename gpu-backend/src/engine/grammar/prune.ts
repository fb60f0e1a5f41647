import type { Expression, Grammar, Rule } from './expression.ts';
import { choice, EMPTY, repeat, sequence } from './expression.ts';
import { rulesThatEnd } from './check.ts';

/** Takes out every part that no text can complete, so that whatever the grammar allows leads to an end. */
export function prune(grammar: Grammar): Grammar {
  const ending = rulesThatEnd(grammar);
  const pruned = new Map<string, Rule>();
  for (const [name, rule] of grammar) {
    const body = pruneExpression(rule.body, ending);
    if (body !== undefined) pruned.set(name, { ...rule, body });
  }
  return pruned;
}

/** The expression without its hopeless parts; undefined if nothing is left. */
function pruneExpression(expression: Expression, ending: ReadonlySet<string>): Expression | undefined {
  switch (expression.type) {
    case 'text':
      return expression;
    case 'chars':
      return expression.ranges.length > 0 ? expression : undefined;
    case 'sequence': {
      const parts = expression.parts.map((part) => pruneExpression(part, ending));
      return parts.every((part) => part !== undefined) ? sequence(...parts) : undefined;
    }
    case 'choice': {
      const options = expression.options
        .map((option) => pruneExpression(option, ending))
        .filter((option) => option !== undefined);
      return options.length > 0 ? choice(...options) : undefined;
    }
    case 'repeat': {
      const body = pruneExpression(expression.body, ending);
      if (expression.max === 0) return EMPTY;
      if (body !== undefined) return repeat(body, expression.min, expression.max);
      return expression.min === 0 ? EMPTY : undefined;
    }
    case 'rule':
      return ending.has(expression.name) ? expression : undefined;
  }
}
