import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { TidarError } from '@tidar/shared/errors.ts';
import { GrammarCompiler } from '../grammar-compiler.ts';
import { BYTE_VOCABULARY, takesText } from '../testing.ts';
import { SUPPORTED_KEYWORDS } from './keywords.ts';
import { NOT_WRITTEN, REFUSED } from './suite/deviations.ts';

interface Group {
  description: string;
  schema: unknown;
  tests: { description: string; data: unknown; valid: boolean }[];
}

const folder = fileURLToPath(new URL('./suite', import.meta.url));
const files = readdirSync(folder).filter((name) => name.endsWith('.json'));
const groups = files.flatMap((name) => {
  const all = JSON.parse(readFileSync(`${folder}/${name}`, 'utf8')) as Group[];
  return all.map((group): [string, Group] => [`${name.replace('.json', '')} | ${group.description}`, group]);
});
const reasonFor = (place: string, lists: Readonly<Record<string, readonly string[]>>): string | undefined =>
  Object.keys(lists).find((reason) => lists[reason]?.includes(place));
const compiler = await GrammarCompiler.forVocabulary(BYTE_VOCABULARY, { maxGrammars: 8 });

describe('cases of the official JSON Schema Test Suite', () => {
  it.each(groups)(
    'valid instances are taken and invalid ones are not, but for what is listed: %s',
    async (place, group) => {
      const spec = { type: 'json_schema', schema: group.schema } as const;
      const refusal = reasonFor(place, REFUSED);
      if (refusal !== undefined) {
        const error = await compiler.compile(spec).then(
          () => undefined,
          (reason: unknown) => reason,
        );
        expect(error).toBeInstanceOf(TidarError);
        expect((error as TidarError).code).toBe('invalid_request');
        expect((error as TidarError).message).toContain(refusal);
        return;
      }
      const grammar = await compiler.compile(spec);
      for (const { description, data, valid } of group.tests) {
        const isListed = reasonFor(`${place} | ${description}`, NOT_WRITTEN) !== undefined;
        const isTaken = takesText(grammar.start(), JSON.stringify(data));
        expect(isTaken, `${description}: ${JSON.stringify(data)}`).toBe(valid && !isListed);
      }
    },
  );

  it('are there for every keyword that is supported', () => {
    const tested = new Set(
      files.map((name) =>
        name.replace(/^format-.*|\.json$/g, (found) => (found === '.json' ? '' : 'format')),
      ),
    );
    const keywords = Object.keys(SUPPORTED_KEYWORDS).map(
      (keyword) => ({ $ref: 'ref', $defs: 'defs', definitions: 'defs' })[keyword] ?? keyword,
    );
    expect(keywords.filter((keyword) => !tested.has(keyword))).toEqual([]);
  });

  it('are named rightly in the lists', () => {
    const places = new Set(
      groups.flatMap(([place, { tests }]) => [
        place,
        ...tests.map((test) => `${place} | ${test.description}`),
      ]),
    );
    const listed = [...Object.values(REFUSED), ...Object.values(NOT_WRITTEN)].flat();
    expect(listed.filter((place) => !places.has(place))).toEqual([]);
  });
});
