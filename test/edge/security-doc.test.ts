import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

const ROOT = new URL('../../', import.meta.url);
const read = (path: string): string => readFileSync(new URL(path, ROOT), 'utf8');
const threats = read('docs/security.md')
  .split('## Threats')[1]!
  .split('## What is kept')[0]!
  .split('\n')
  .filter((line) => line.startsWith('| '))
  .slice(2);

/** A title may be written with either quote, or stand in a list of cases, with its quotes escaped. */
const hasTitle = (text: string, title: string): boolean =>
  text
    .replaceAll("\\'", "'")
    .replaceAll(/'\s*\+\s*'/g, '')
    .includes(title);

describe('the threat model', () => {
  it('has a line for each threat', () => {
    expect(threats.length).toBeGreaterThan(20);
  });

  it.each(threats.map((line) => [line.split('|')[1]?.trim(), line]))(
    'names a test that exists: %s',
    (_, line) => {
      const [, path = '', title = ''] = /`([^`]+\.test\.ts)`: "(.+?)"\s*\|$/.exec(line ?? '') ?? [];
      expect(path).not.toBe('');
      expect(hasTitle(read(path), title), `${path} has no test "${title}"`).toBe(true);
    },
  );
});
