import type { Expression, Grammar, Rule } from './expression.ts';
import { choice, EMPTY, repeat, ROOT, sequence } from './expression.ts';
import { rulesThatEnd } from './check.ts';

/** Takes out every part that no text can complete and every rule that is not used, so that whatever the grammar allows leads to an end. */
export function prune(grammar: Grammar): Grammar {
  const ending = rulesThatEnd(grammar);
  const pruned = new Map<string, Rule>();
  const visit = (name: string): void => {
    const rule = grammar.get(name);
    const body = rule === undefined ? undefined : pruneExpression(rule.body, ending);
    if (body === undefined || pruned.has(name)) return;
    pruned.set(name, { ...rule, body });
    for (const used of rulesIn(body)) visit(used);
  };
  visit(ROOT);
  return pruned;
}

function rulesIn(expression: Expression): string[] {
  switch (expression.type) {
    case 'text':
    case 'chars':
    case 'special':
      return [];
    case 'sequence':
      return expression.parts.flatMap(rulesIn);
    case 'choice':
      return expression.options.flatMap(rulesIn);
    case 'repeat':
      return rulesIn(expression.body);
    case 'rule':
      return [expression.name];
  }
}

/** The expression without its hopeless parts; undefined if nothing is left. */
function pruneExpression(expression: Expression, ending: ReadonlySet<string>): Expression | undefined {
  switch (expression.type) {
    case 'text':
    case 'special':
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
