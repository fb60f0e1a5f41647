import { randomInt } from 'node:crypto';

const NUM_SECRET_DIGITS = 40;

/** A string that nobody who writes a message can guess. Digits, which no template filter changes. */
function makeSecret(): string {
  const digits = Array.from({ length: NUM_SECRET_DIGITS }, () => randomInt(10));
  return `\u{E000}${digits.join('')}\u{E001}`;
}

/**
 * Keeps what people write apart from the special tokens that a template writes.
 *
 * A message may hold the text of a special token, "<|end|>" say. Before the template is rendered, `guard` puts
 * a secret break into each such text; the template then sees the content as it is, but for the breaks. After
 * rendering, every special token without a break is the template's own: `rename` gives it its secret name and
 * takes the breaks out. A tokenizer that knows special tokens only by their secret names then encodes the
 * whole text at once, exactly as it would be without the guard, except that a message's "<|end|>" is text.
 */
export interface SpecialTokenGuard {
  guard(content: string): string;
  /** The same for every text in a value, names of fields included. */
  guardAll<T>(value: T): T;
  rename(rendered: string): string;
  secretName(token: string): string;
}

/** A guard for these special tokens; its secrets are new for each guard. */
export function makeSpecialTokenGuard(specialTokens: readonly string[]): SpecialTokenGuard {
  const breakMark = makeSecret();
  const secrets = new Map(specialTokens.map((token): [string, string] => [token, makeSecret()]));
  const secretName = (token: string): string => secrets.get(token) ?? token;
  const anySpecial = matchAny(specialTokens);
  const guard = (content: string): string =>
    insertBreaks(content, findBreaks(content, specialTokens), breakMark);
  return {
    guard,
    guardAll: (value) => mapTexts(value, guard),
    rename: (rendered) => {
      const renamed = anySpecial ? rendered.replace(anySpecial, secretName) : rendered;
      return renamed.replaceAll(breakMark, '');
    },
    secretName,
  };
}

/** Matches the longest special token at the first place where there is one, as the tokenizer does. */
function matchAny(specialTokens: readonly string[]): RegExp | undefined {
  if (specialTokens.length === 0) return undefined;
  const longestFirst = specialTokens.toSorted((a, b) => b.length - a.length);
  return new RegExp(longestFirst.map((token) => RegExp.escape(token)).join('|'), 'gu');
}

/**
 * Indexes in `content` where a break keeps it from being, or from completing with what stands before and
 * after it, a special token.
 */
function findBreaks(content: string, specialTokens: readonly string[]): number[] {
  const breaks = new Set<number>();
  for (const token of specialTokens) {
    for (let at = content.indexOf(token); at !== -1; at = content.indexOf(token, at + 1)) breaks.add(at + 1);
    for (let numChars = 1; numChars < token.length; numChars++) {
      if (content.endsWith(token.slice(0, numChars))) breaks.add(content.length - numChars + 1);
      if (content.startsWith(token.slice(-numChars))) breaks.add(0);
    }
    if (content !== '' && token.includes(content)) breaks.add(0);
  }
  return [...breaks].toSorted((a, b) => a - b);
}

function insertBreaks(content: string, breaks: readonly number[], breakMark: string): string {
  const ends = [...breaks, content.length];
  return ends.map((end, i) => content.slice(i === 0 ? 0 : ends[i - 1], end)).join(breakMark);
}

/** A copy of a JSON-like value whose texts are mapped. */
function mapTexts<T>(value: T, map: (text: string) => string): T;
function mapTexts(value: unknown, map: (text: string) => string): unknown {
  if (typeof value === 'string') return map(value);
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map((item: unknown) => mapTexts(item, map));
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [map(key), mapTexts(item, map)]));
}
