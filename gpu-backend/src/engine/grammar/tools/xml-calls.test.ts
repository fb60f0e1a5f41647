import { describe, expect, it } from 'vitest';
import { AnswerParser } from '../../../model/answer/parser.ts';
import { refusal } from '../../../model/testing/tiny-tokenizer.ts';
import { readSpec } from '../read-spec.ts';
import { takes } from '../testing.ts';
import { compiler, read, specOf, tokensOf } from './testing.ts';

describe('parameters as tags', () => {
  const read1 = async (schema: object, value: string): Promise<unknown> => {
    const parameters = {
      type: 'object',
      properties: { a: schema },
      required: ['a'],
      $defs: { n: { type: 'number' } },
    };
    const spec = specOf('xml', { tools: [{ name: 'f', parameters, strict: true }] });
    const grammar = await compiler.compile(spec);
    const text = `<tool_call>\n<function=f>\n<parameter=a>\n${value}\n</parameter>\n</function>\n</tool_call>`;
    if (!takes(grammar.start(), tokensOf(text), 256)) return 'refused';
    return (JSON.parse(read(spec, text).calls[0]!.text) as { a: unknown }).a;
  };

  it.each([
    [{ type: 'string' }, 'two\nlines "of" </text>', 'two\nlines "of" </text>'],
    [{ type: 'string' }, '', ''],
    [{ enum: ['a', 'b c'] }, 'b c', 'b c'],
    [{ enum: ['a', 'b c'] }, 'c', 'refused'],
    [{ const: '1' }, '1', '1'],
    [{ type: 'string', pattern: '^\\d+$' }, '12', '12'],
    [{ type: 'string', pattern: '^\\d+$' }, 'x', 'refused'],
    [{ type: 'string', format: 'date' }, '2024-02-29', '2024-02-29'],
    [{ type: 'string', maxLength: 2 }, 'abc', 'refused'],
    [{ type: 'string', minLength: 2 }, 'abc', 'abc'],
    [{ type: 'boolean' }, 'True', true],
    [{ type: 'boolean' }, 'false', false],
    [{ type: 'integer', minimum: 3 }, '2', 'refused'],
    [{ type: 'array', items: { type: 'string' } }, '["a", "</parameter>"]', ['a', '</parameter>']],
    [{ type: ['string', 'null'] }, '"a"', 'a'],
    [{ $ref: '#/$defs/n' }, '2.5', 2.5],
  ])('are kept to their schemas, and read as JSON: %j %j', async (schema, value, expected) => {
    expect(await read1(schema, value)).toEqual(expected);
  });

  it('leave out what is not required, in the order of the schema', async () => {
    const grammar = await compiler.compile(specOf('xml'));
    const call = (...names: string[]): number[] =>
      tokensOf(
        `<tool_call>\n<function=get_weather>\n${names.map((name) => `<parameter=${name}>\n3\n</parameter>\n`).join('')}</function>\n</tool_call>`,
      );
    expect(takes(grammar.start(), call('city'), 256)).toBe(true);
    expect(takes(grammar.start(), call('city', 'days'), 256)).toBe(true);
    expect(takes(grammar.start(), call('days'), 256)).toBe(false);
    expect(takes(grammar.start(), call('days', 'city'), 256)).toBe(false);
  });

  it('of a function that lists none are any texts', async () => {
    const spec = specOf('xml', { tools: [{ name: 'f', parameters: { type: 'object' }, strict: false }] });
    const grammar = await compiler.compile(spec);
    const text = '<tool_call>\n<function=f>\n<parameter=x.y>\n1\n</parameter>\n</function>\n</tool_call>';
    expect(takes(grammar.start(), tokensOf(text), 256)).toBe(true);
    const parser = new AnswerParser({ calls: 'xml' });
    expect(
      parser
        .push(text)
        .calls.map((call) => call.arguments)
        .join(''),
    ).toBe('{"x.y": "1"}');
  });

  it('that cannot be kept are refused where the function is strict, else they are any of their kind', async () => {
    const parameters = { type: 'object', properties: { a: { type: 'string', format: 'uri' } } };
    const error = refusal(() =>
      readSpec(specOf('xml', { tools: [{ name: 'f', parameters, strict: true }] })),
    );
    expect(error.param).toBe('tools[0].function.parameters');
    const grammar = await compiler.compile(
      specOf('xml', { tools: [{ name: 'f', parameters, strict: false }] }),
    );
    const text = '<tool_call>\n<function=f>\n<parameter=a>\nx:y\n</parameter>\n</function>\n</tool_call>';
    expect(takes(grammar.start(), tokensOf(text), 256)).toBe(true);
  });
});
