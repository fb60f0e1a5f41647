import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { refusal } from '../../../model/testing/tiny-tokenizer.ts';
import { GrammarCompiler } from '../grammar-compiler.ts';
import { readSpec } from '../read-spec.ts';
import { BYTE_VOCABULARY, takesText } from '../testing.ts';

const compiler = await GrammarCompiler.forVocabulary(BYTE_VOCABULARY);
const takes = async (schema: unknown, text: string): Promise<boolean> =>
  takesText((await compiler.compile({ type: 'json_schema', schema })).start(), text);

/** JSON of numbers that are written in few digits. */
const json = fc
  .jsonValue({ depthSize: 'small', noUnicodeString: false })
  .map(
    (value) =>
      JSON.parse(
        JSON.stringify(value, (_, part: unknown) =>
          typeof part === 'number' ? Math.round(part % 1e6) : part,
        ),
      ) as unknown,
  );

describe('JSON', () => {
  it('is taken compact, on one line with spaces, and indented', async () => {
    await fc.assert(
      fc.asyncProperty(json, async (value) => {
        const compact = JSON.stringify(value);
        expect([compact, await takes(true, compact)]).toEqual([compact, true]);
        for (const indent of [1, 2, 4])
          expect(await takes({}, JSON.stringify(value, undefined, indent))).toBe(true);
      }),
      { numRuns: 100 },
    );
    expect(await takes({}, '{"a": [1, 2, {"b": null}], "c": "d"}')).toBe(true);
    expect(await takes({}, '{  "a":1}')).toBe(false);
    expect(await takes({}, '[1]\n')).toBe(false);
  });

  it('of a constant is taken in its own form, and no other value is', async () => {
    await fc.assert(
      fc.asyncProperty(json, json, async (value, other) => {
        const isSame = JSON.stringify(value) === JSON.stringify(other);
        expect(await takes({ const: value }, JSON.stringify(value))).toBe(true);
        expect(await takes({ const: value }, JSON.stringify(other))).toBe(isSame);
      }),
      { numRuns: 100 },
    );
  });

  it('of an open object holds no name of a property twice, however it is spelled', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(fc.string({ maxLength: 4, unit: fc.constantFrom('a', 'b', '"', '\\', 'é', '\n') }), {
          minLength: 1,
          maxLength: 4,
        }),
        fc.string({ maxLength: 4, unit: fc.constantFrom('a', 'b', '"', '\\', 'é', '\n') }),
        async (names, key) => {
          const properties = Object.fromEntries(names.map((name) => [name, { type: 'integer' }]));
          const schema = { type: 'object', properties, additionalProperties: { type: 'null' } };
          const isName = names.includes(key);
          expect(await takes(schema, `{${JSON.stringify(key)}:null}`)).toBe(!isName);
          expect(await takes(schema, `{${JSON.stringify(key)}:1}`)).toBe(isName);
        },
      ),
    );
    const schema = { type: 'object', properties: { a: { type: 'integer' } }, additionalProperties: true };
    expect(await takes(schema, '{"\\u0061":"x"}')).toBe(false);
    expect(await takes(schema, '{"a":1,"a":2}')).toBe(false);
  });

  it('of a string counts characters, however they are written', async () => {
    const schema = { type: 'string', minLength: 2, maxLength: 3 };
    for (const text of ['ab', '😀é', '\n"', 'abc', '\u0001\\'])
      expect(await takes(schema, JSON.stringify(text))).toBe(true);
    for (const text of ['', 'a', '😀', 'abcd', '\n"\\\t'])
      expect(await takes(schema, JSON.stringify(text))).toBe(false);
  });

  it('of a oneOf is of one branch, where constants or types tell them apart', async () => {
    const tagged = (tag: string, value: object): object => ({
      type: 'object',
      properties: { tag: { const: tag }, value },
      required: ['tag', 'value'],
    });
    const schema = {
      oneOf: [tagged('n', { type: 'integer' }), { $ref: '#/$defs/s' }, { type: ['null', 'boolean'] }],
      $defs: { s: tagged('s', { type: 'string' }) },
    };
    for (const value of [{ tag: 'n', value: 1 }, { tag: 's', value: 'x' }, null, true])
      expect(await takes(schema, JSON.stringify(value))).toBe(true);
    for (const value of [{ tag: 'n', value: 'x' }, { tag: 's', value: 1 }, 1])
      expect(await takes(schema, JSON.stringify(value))).toBe(false);
  });
});

describe('a schema', () => {
  const nested = (depth: number): object => (depth === 0 ? {} : { items: nested(depth - 1) });
  const UNSUPPORTED = [
    'not',
    'if',
    'then',
    'else',
    'patternProperties',
    'propertyNames',
    'minProperties',
    'maxProperties',
    'uniqueItems',
    'contains',
    'multipleOf',
    'dependentRequired',
    'dependentSchemas',
    'unevaluatedProperties',
    'unevaluatedItems',
    '$anchor',
    '$dynamicRef',
    'additionalItems',
    'nullable',
    'discriminator',
    'toString',
    '__proto__',
  ];

  it.each(UNSUPPORTED)(
    'with a keyword that is not supported is refused by its name and place: %s',
    (keyword) => {
      const inner = JSON.parse(`{"type":"string",${JSON.stringify(keyword)}:{}}`) as object;
      for (const schema of [{ properties: { a: inner } }, { $defs: { a: inner }, type: 'null' }]) {
        const error = refusal(() => readSpec({ type: 'json_schema', schema }));
        expect([error.code, error.param]).toEqual(['invalid_request', 'response_format']);
        expect(error.message).toMatch(/at #\/(properties|\$defs)\/a /);
        expect(error.message).toContain(`"${keyword}"`);
      }
    },
  );

  it.each<[unknown, string]>([
    [5, 'neither an object nor true or false'],
    [false, 'no value satisfies'],
    [{ type: 'text' }, 'has the type "text"'],
    [{ type: [] }, 'has the type []'],
    [{ enum: [] }, 'an empty "enum"'],
    [{ enum: [1], type: 'string' }, 'no value of its "type"'],
    [{ const: 1, minimum: 3 }, '"minimum" beside "const"'],
    [{ $ref: '#/$defs/a' }, 'which it does not hold'],
    [{ $ref: 'https://example.com/a' }, 'within the schema'],
    [{ $ref: '#/$defs/a', $defs: { a: { $ref: '#/$defs/b' }, b: { $ref: '#/$defs/a' } } }, 'without end'],
    [
      {
        $ref: '#/$defs/a',
        $defs: { a: { type: 'object', properties: { a: { $ref: '#/$defs/a' } }, required: ['a'] } },
      },
      'without end',
    ],
    [{ anyOf: [{ type: 'null' }, { $ref: '#' }] }, '"the JSON schema at #" begins with itself'],
    [{ anyOf: {} }, 'not a list'],
    [{ oneOf: [{ type: 'string' }, { type: 'string', minLength: 1 }] }, 'may match the same value'],
    [{ oneOf: [{ type: 'number' }, { type: 'integer' }] }, 'may match the same value'],
    [{ allOf: [{}, {}] }, 'several schemas'],
    [{ type: 'string', pattern: 'a', maxLength: 3 }, '"maxLength" beside "pattern"'],
    [{ type: 'string', pattern: '(' }, 'no regular expression'],
    [{ type: 'string', format: 'regex' }, 'format "regex"'],
    [{ type: 'string', minLength: -1 }, 'not a count'],
    [{ type: 'string', maxLength: 5000 }, 'at most 4096'],
    [{ type: 'string', minLength: 3, maxLength: 2 }, '"maxLength" below its "minLength"'],
    [{ type: 'array', minItems: 2, items: false }, 'more items than it allows'],
    [{ required: ['a'], additionalProperties: false }, 'forbids'],
    [{ required: [1] }, 'not a list of strings'],
    [{ properties: [] }, 'not an object'],
    [{ properties: { ['a'.repeat(300)]: {} }, additionalProperties: true }, 'longer than 128'],
    [nested(70), 'more than 64 levels'],
    [{ description: 'a'.repeat(70_000) }, 'at most 65536'],
    [
      {
        type: 'array',
        items: { type: 'array', items: { type: 'string', maxLength: 4000 }, maxItems: 4000 },
        maxItems: 4000,
      },
      'parts once its repetitions',
    ],
  ])('that is wrong is refused with a sentence that says how: %.60j', (schema, reason) => {
    const error = refusal(() => readSpec({ type: 'json_schema', schema }));
    expect([error.code, error.param]).toEqual(['invalid_request', 'response_format']);
    expect(error.message).toContain(reason);
  });

  it('that is nested without measure is refused like any other', () => {
    let schema: object = {};
    for (let depth = 0; depth < 100_000; depth++) schema = { items: schema };
    expect(refusal(() => readSpec({ type: 'json_schema', schema })).code).toBe('invalid_request');
  });
});
