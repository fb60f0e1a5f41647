const entities = new Map([
  ['amp', '&'],
  ['quot', '"'],
  ['apos', "'"],
  ['lt', '<'],
  ['gt', '>'],
  ['nbsp', ' '],
]);

/** Plain text of a factbook field: entities decoded, tags and accents of no use to a small model removed. */
export function cleanText(text: string): string {
  return text
    .replace(/&#(\d+);/g, (_, code: string) => String.fromCodePoint(Number(code)))
    .replace(/&(\w+);/g, (whole, name: string) => entities.get(name) ?? whole)
    .replace(/<[^>]*>/g, ' ')
    .normalize('NFKD')
    .replace(/[\u0300-\u036f]/g, '')
    .replace(/[‘’`]/g, "'")
    .replace(/\s+/g, ' ')
    .trim();
}

/** Removes what stands in brackets, nested ones too: "Tahat (peak) 3,003 m" becomes "Tahat 3,003 m". */
export function withoutBrackets(text: string): string {
  let depth = 0;
  let kept = '';
  for (const character of text) {
    if (character === '(' || character === '[') depth++;
    else if (character === ')' || character === ']') depth = Math.max(0, depth - 1);
    else if (depth === 0) kept += character;
  }
  return kept
    .replace(/\s+/g, ' ')
    .replace(/ ([,;.])/g, '$1')
    .trim();
}

/** Splits at commas that stand outside of brackets. */
export function splitList(text: string): string[] {
  const items = [''];
  let depth = 0;
  for (const character of text) {
    if (character === '(') depth++;
    if (character === ')') depth--;
    if (character === ',' && depth === 0) items.push('');
    else items[items.length - 1] += character;
  }
  return items.map((item) => item.trim()).filter((item) => item !== '');
}

/** "A", "A and B", "A, B and C". */
export function joinWithAnd(items: readonly string[]): string {
  if (items.length < 2) return items.join('');
  return `${items.slice(0, -1).join(', ')} and ${items.at(-1)}`;
}

/** The first number of a text, thousands' commas and a following "million" understood. */
export function parseCount(text: string): number | undefined {
  const match = /^(\d[\d,]*(?:\.\d+)?)( million| billion)?/.exec(text);
  if (match === null) return undefined;
  const unit = match[2] === ' million' ? 1e6 : match[2] === ' billion' ? 1e9 : 1;
  return Math.round(Number((match[1] ?? '').replaceAll(',', '')) * unit);
}

/** Two significant digits in words: 39,542,166 is "40 million", 2,381,741 "2.4 million", 83,871 "84,000". */
export function roundedCount(count: number): string {
  const scale = 10 ** Math.max(0, Math.floor(Math.log10(count)) - 1);
  const rounded = Math.round(count / scale) * scale;
  if (rounded >= 1e9) return `${rounded / 1e9} billion`;
  if (rounded >= 1e6) return `${rounded / 1e6} million`;
  return rounded.toLocaleString('en-US');
}
