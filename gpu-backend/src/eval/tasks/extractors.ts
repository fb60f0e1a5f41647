/** What of an answer counts; undefined where it is not there. */
type Extractor = (text: string) => string | undefined;

const NUMBER = String.raw`-?(?:\d[\d,]*(?:\.\d+)?|\.\d+)`;

const EXTRACTORS = {
  /** The number of the last line `#### 42`, as GSM8K's answers end. */
  'after-hashes': (text) => lastNumber(text, new RegExp(String.raw`^####\s*\$?(${NUMBER})\.?\s*$`, 'gm')),
  'last-number': (text) => lastNumber(text, new RegExp(`(?<![\\w.])(${NUMBER})`, 'g')),
  'first-line': (text) => text.trim().split('\n')[0]?.trim(),
  whole: (text) => text.trim(),
} as const satisfies Record<string, Extractor>;

export type ExtractorName = keyof typeof EXTRACTORS;
export const EXTRACTOR_NAMES = Object.keys(EXTRACTORS) as [ExtractorName, ...ExtractorName[]];

function lastNumber(text: string, pattern: RegExp): string | undefined {
  const found = [...text.matchAll(pattern)].at(-1)?.[1];
  return found === undefined ? undefined : String(Number(found.replaceAll(',', '')));
}

/** Whether a text's answer is the reference's, both found in the same way. */
export function isSameAnswer(name: ExtractorName, text: string, reference: string): boolean {
  const extract: Extractor = EXTRACTORS[name];
  const expected = extract(reference);
  return expected !== undefined && extract(text) === expected;
}

/** Whether the reference has an answer to compare with. */
export function hasAnswer(name: ExtractorName, reference: string): boolean {
  return EXTRACTORS[name](reference) !== undefined;
}
