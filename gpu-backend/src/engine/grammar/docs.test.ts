import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { GRAMMAR_LIMITS } from './refuse.ts';
import { FORMATS } from './schema/formats.ts';
import { ANNOTATIONS, SUPPORTED_KEYWORDS } from './schema/keywords.ts';
import { NOT_WRITTEN } from './schema/suite/deviations.ts';

const docs = readFileSync(new URL('../../../../docs/structured-output.md', import.meta.url), 'utf8');
const section = (title: string): string => docs.split(/^## /m).find((text) => text.startsWith(title)) ?? '';
/** The rows of a section's table, as [first cell, second cell]. */
const rows = (title: string): [string, string][] =>
  [...section(title).matchAll(/^\| `?([^|`]+?)`? +\| (.+?) +\|$/gm)]
    .slice(2)
    .map(([, name, meaning]) => [name ?? '', meaning ?? '']);

describe('docs/structured-output.md', () => {
  it('lists the keywords that are supported, as the code has them, and no others', () => {
    expect(Object.fromEntries(rows('Keywords'))).toEqual(SUPPORTED_KEYWORDS);
  });

  it('names every annotation, format and limit', () => {
    for (const name of [...ANNOTATIONS, ...Object.keys(FORMATS)])
      expect(section('Keywords')).toContain(`\`${name}\``);
    for (const limit of Object.values(GRAMMAR_LIMITS))
      expect(section('Limits')).toContain(limit.toLocaleString('en'));
  });

  it('names every reason for which valid instances are not written', () => {
    const named = rows('Valid values that are never written').map(([name]) => name.toLowerCase());
    expect(Object.keys(NOT_WRITTEN).filter((reason) => !named.includes(reason))).toEqual([]);
  });
});
