import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { GrammarCompiler } from '../grammar-compiler.ts';
import { BYTE_VOCABULARY, takesText } from '../testing.ts';

const compiler = await GrammarCompiler.forVocabulary(BYTE_VOCABULARY);
const takes = async (schema: object, texts: readonly string[]): Promise<boolean[]> => {
  const grammar = await compiler.compile({ type: 'json_schema', schema });
  return texts.map((text) => takesText(grammar.start(), text));
};
const isBetween = (value: number, schema: Record<string, number | undefined>): boolean =>
  value >= (schema['minimum'] ?? -Infinity) &&
  value <= (schema['maximum'] ?? Infinity) &&
  value > (schema['exclusiveMinimum'] ?? -Infinity) &&
  value < (schema['exclusiveMaximum'] ?? Infinity);

/** Two numbers in order, as the bounds of a schema; none, one or both, inclusive or not. */
const bounds = (value: fc.Arbitrary<number>): fc.Arbitrary<Record<string, number>> =>
  fc
    .tuple(
      value,
      value,
      fc.constantFrom('minimum', 'exclusiveMinimum', ''),
      fc.constantFrom('maximum', 'exclusiveMaximum', ''),
    )
    .filter(([a, b]) => a !== b)
    .map(([a, b, low, high]) => {
      const all: [string, number][] = [
        [low, Math.min(a, b)],
        [high, Math.max(a, b)],
      ];
      return Object.fromEntries(all.filter(([name]) => name !== ''));
    });

describe('bounds of numbers', () => {
  it('allow exactly the integers between them', async () => {
    const near = fc.integer({ min: -1200, max: 1200 });
    await fc.assert(
      fc.asyncProperty(bounds(near), fc.array(near, { minLength: 20 }), async (schema, others) => {
        fc.pre(
          !(
            'exclusiveMinimum' in schema &&
            'exclusiveMaximum' in schema &&
            schema['exclusiveMaximum'] - schema['exclusiveMinimum'] < 2
          ),
        );
        const values = [
          ...others,
          ...Object.values(schema).flatMap((bound) => [bound - 1, bound, bound + 1]),
        ];
        const taken = await takes({ type: 'integer', ...schema }, values.map(String));
        expect(taken).toEqual(values.map((value) => isBetween(value, schema)));
      }),
      { numRuns: 150 },
    );
  });

  it('allow exactly the decimal numbers between them', async () => {
    const decimal = fc
      .tuple(fc.integer({ min: -3000, max: 3000 }), fc.constantFrom(1, 10, 100, 1000))
      .map(([digits, scale]) => digits / scale);
    await fc.assert(
      fc.asyncProperty(bounds(decimal), fc.array(decimal, { minLength: 20 }), async (schema, others) => {
        const steps = [0, 0.0001, -0.0001, 0.5, -0.5, 1, -1];
        const near = Object.values(schema).flatMap((bound) =>
          steps.map((step) => Number((bound + step).toFixed(4))),
        );
        const values = [...others, ...near].map((value) => value + 0);
        const taken = await takes(
          { type: 'number', ...schema },
          values.map((value) => JSON.stringify(value)),
        );
        expect(taken, JSON.stringify(schema)).toEqual(values.map((value) => isBetween(value, schema)));
      }),
      { numRuns: 200 },
    );
  });

  it('hold for numbers with zeros at their end', async () => {
    const schema = { type: 'number', minimum: 1.5, exclusiveMaximum: 2 };
    expect(await takes(schema, ['1.5', '1.50', '1.500001', '1.99', '2', '2.0', '1.49', '1', '01.6', '1.'])).toEqual([
      true, true, true, true, false, false, false, false, false, false,
    ]); // prettier-ignore
  });

  it.each([
    [{ type: 'integer', minimum: 3, maximum: 2 }],
    [{ type: 'integer', exclusiveMinimum: 3, exclusiveMaximum: 4 }],
    [{ type: 'number', exclusiveMinimum: 3, maximum: 3 }],
    [{ type: 'integer', minimum: 1e15 }],
    [{ type: 'number', maximum: 1e20 }],
    [{ type: 'number', minimum: 123456789.12345678 }],
    [{ type: 'number', minimum: 1e-20 }],
    [{ type: 'number', minimum: '3' }],
  ])('that leave nothing, or have too many digits, are refused: %j', async (schema) => {
    await expect(takes(schema, [])).rejects.toMatchObject({
      code: 'invalid_request',
      param: 'response_format',
    });
  });
});
