import type { Expression } from '../expression.ts';
import { choice, EMPTY, repeat, sequence, text } from '../expression.ts';
import { bracketed, COLON, COMMA, otherKey } from '../json.ts';

export interface Member {
  readonly key: string;
  readonly value: Expression;
  readonly isRequired: boolean;
}

/**
 * Members in their order, each at most once, then any number of `others` under names that are neither a member's nor
 * `forbidden`. `define` makes a rule: what stands twice has to be one, or the grammar would double at each member.
 */
export function objectOf(
  members: readonly Member[],
  others: Expression | undefined,
  define: (body: Expression) => Expression,
  forbidden: readonly string[] = [],
): Expression {
  const names = [...members.map(({ key }) => key), ...forbidden];
  const other = others === undefined ? undefined : define(sequence(otherKey(names), COLON, others));
  const moreOthers = other === undefined ? EMPTY : repeat(sequence(COMMA, other), 0);
  let after: Expression = moreOthers;
  // What may stand inside the braces from this member on; undefined: only nothing.
  let first = other === undefined ? undefined : sequence(other, moreOthers);
  let canBeEmpty = true;
  for (const { key, value, isRequired } of members.toReversed()) {
    const member = define(sequence(text(JSON.stringify(key)), COLON, value));
    const start = sequence(member, after);
    first = isRequired || first === undefined ? start : define(choice(start, first));
    const next = sequence(COMMA, member, after);
    after = define(isRequired ? next : choice(next, after));
    canBeEmpty &&= !isRequired;
  }
  if (first === undefined) return text('{}');
  const filled = bracketed('{', '}', first);
  return canBeEmpty ? choice(text('{}'), filled) : filled;
}

/** `prefix` items one by one, then any number of `item` (undefined: no more), `min` to `max` in all. */
export function arrayOf(
  prefix: readonly Expression[],
  item: Expression | undefined,
  [min, max]: readonly [number, number?],
  define: (body: Expression) => Expression,
): Expression | undefined {
  const fixed = prefix.slice(0, max);
  const numMore = max === undefined ? undefined : max - fixed.length;
  const canGoOn = item !== undefined && numMore !== 0;
  if (!canGoOn && min > fixed.length) return undefined;
  const numNeeded = Math.max(0, min - fixed.length);
  if (fixed.length === 0) {
    if (!canGoOn) return text('[]');
    const more = repeat(
      sequence(COMMA, item),
      Math.max(0, min - 1),
      numMore === undefined ? undefined : numMore - 1,
    );
    const filled = bracketed('[', ']', sequence(item, more));
    return min === 0 ? choice(text('[]'), filled) : filled;
  }
  let after: Expression = canGoOn ? repeat(sequence(COMMA, item), numNeeded, numMore) : EMPTY;
  for (let index = fixed.length - 1; index > 0; index--) {
    const next = sequence(COMMA, fixed[index] ?? EMPTY, after);
    after = define(index < min ? next : choice(next, EMPTY));
  }
  const filled = bracketed('[', ']', sequence(fixed[0] ?? EMPTY, after));
  return min === 0 ? choice(text('[]'), filled) : filled;
}
