/** Code points [from, to], both inclusive. */
export type CharRange = readonly [from: number, to: number];

/** A grammar's right-hand side: schemas, regular expressions and EBNF all become this. */
export type Expression =
  | { readonly type: 'text'; readonly text: string }
  /** A special token, by its name: it has no text, and no text stands for it. */
  | { readonly type: 'special'; readonly name: string }
  /** One character of sorted, disjoint ranges. */
  | { readonly type: 'chars'; readonly ranges: readonly CharRange[] }
  | { readonly type: 'sequence'; readonly parts: readonly Expression[] }
  | { readonly type: 'choice'; readonly options: readonly Expression[] }
  /** `max` undefined: without end. */
  | { readonly type: 'repeat'; readonly body: Expression; readonly min: number; readonly max?: number }
  | { readonly type: 'rule'; readonly name: string };

export interface Rule {
  readonly body: Expression;
  /** What stands after every use of this rule. Changes nothing, but makes masks cheaper. */
  readonly lookahead?: Expression;
}

export const ROOT = 'root';

/** Rules by name; a text is legal if `root` derives it. */
export type Grammar = ReadonlyMap<string, Rule>;

export const MAX_CODE_POINT = 0x10ffff;
const SURROGATES: CharRange = [0xd800, 0xdfff];

/** Half a surrogate pair is no character: no text holds one. */
export const text = (value: string): Expression => ({ type: 'text', text: value.toWellFormed() });
/** The characters of a text, each whole. */
export const charsOf = (value: string): string[] => Array.from(value);
export const EMPTY = text('');
export const special = (name: string): Expression => ({ type: 'special', name });
export const rule = (name: string): Expression => ({ type: 'rule', name });

export function sequence(...parts: readonly Expression[]): Expression {
  const [only, ...rest] = parts;
  return only !== undefined && rest.length === 0 ? only : { type: 'sequence', parts };
}

export function choice(...options: readonly Expression[]): Expression {
  const [only, ...rest] = options;
  return only !== undefined && rest.length === 0 ? only : { type: 'choice', options };
}

export function repeat(body: Expression, min: number, max?: number): Expression {
  return { type: 'repeat', body, min, ...(max === undefined ? {} : { max }) };
}

export const optional = (body: Expression): Expression => repeat(body, 0, 1);

export const chars = (...ranges: readonly CharRange[]): Expression => ({
  type: 'chars',
  ranges: normalize(ranges),
});

/** Sorted and merged, without surrogates, which are no characters. */
export function normalize(ranges: readonly CharRange[]): CharRange[] {
  const merged: [number, number][] = [];
  for (const [from, to] of subtract(ranges, [SURROGATES]).toSorted((a, b) => a[0] - b[0])) {
    const last = merged.at(-1);
    if (last !== undefined && from <= last[1] + 1) last[1] = Math.max(last[1], to);
    else merged.push([from, to]);
  }
  return merged;
}

export function subtract(ranges: readonly CharRange[], taken: readonly CharRange[]): CharRange[] {
  let rest = [...ranges];
  for (const [from, to] of taken) {
    rest = rest.flatMap(([low, high]): CharRange[] => {
      if (to < low || from > high) return [[low, high]];
      const before: CharRange[] = low < from ? [[low, from - 1]] : [];
      const after: CharRange[] = high > to ? [[to + 1, high]] : [];
      return [...before, ...after];
    });
  }
  return rest;
}

export const complement = (ranges: readonly CharRange[]): CharRange[] =>
  normalize(subtract([[0, MAX_CODE_POINT]], ranges));

export const intersect = (a: readonly CharRange[], b: readonly CharRange[]): CharRange[] =>
  normalize(subtract(a, complement(b)));
