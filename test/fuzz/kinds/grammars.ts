import type { Kind } from '../case.ts';
import { judge } from '../judge.ts';
import { ask } from '../raw-http.ts';
import { bearer, CHAT, chatBody, JSON_BODY, utf8 } from './tools.ts';

type Form = { tidar: { regex: string } } | { tidar: { grammar: string } } | { response_format: object };

const regex = (pattern: string): Form => ({ tidar: { regex: pattern } });
const ebnf = (grammar: string): Form => ({ tidar: { grammar } });
const schema = (value: unknown): Form => ({
  response_format: { type: 'json_schema', json_schema: { name: 'x', schema: value } },
});

/** The same in itself, so often. */
function nested<Value>(depth: number, inner: Value, wrap: (value: Value) => Value): Value {
  let value = inner;
  for (let level = 0; level < depth; level += 1) value = wrap(value);
  return value;
}
const numbered = (count: number, one: (index: number) => string): string =>
  Array.from({ length: count }, (_, index) => one(index)).join('');

/** Forms that ask for much: time, memory, or what nobody can give. */
const FORMS: Readonly<Record<string, () => Form>> = {
  'a small pattern': () => regex('[a-z ]{1,4}'),
  'a pattern that backtracks': () => regex('(a+)+b'),
  'a pattern that backtracks in choices': () => regex('(a|a|aa)*b'),
  'repetitions of repetitions': () => regex('((a{0,60}){0,60}){0,60}'),
  'repetitions without end': () => regex('(((a*)*)*)*'),
  'a high count': () => regex('a{4096}'),
  'a count that is too high': () => regex('a{99999999}'),
  'a count of counts': () => regex('(a{4000}){4000}'),
  'choices of choices': () => regex(nested(12, 'a', (inner) => `(${inner}|${inner})`)),
  'a deep pattern': () => regex(`${'('.repeat(2000)}a${')'.repeat(2000)}`),
  'a long pattern': () => regex('a'.repeat(65_000)),
  'a long choice': () => regex(numbered(9000, (index) => `a${index}|`)),
  'every character': () => regex(String.raw`[\u{0}-\u{10ffff}]{1,50}`),
  'a look ahead': () => regex('(?=a)b'),
  'a reference back': () => regex(String.raw`(a)\1`),
  'an empty class': () => regex('[]'),
  'a pattern that is none': () => regex('a('),
  'a long pattern that is none': () => regex(`${'a'.repeat(60_000)}(`),
  'a pattern of nothing': () => regex('()'),
  'a property of letters': () => regex(String.raw`\p{L}{1,20}`),
  'a small grammar': () => ebnf('root ::= "a" [b-d]*'),
  'a grammar without a root': () => ebnf('start ::= "a"'),
  'a grammar that begins with itself': () => ebnf('root ::= root "a" | "b"'),
  'a grammar that never ends': () => ebnf('root ::= "a" root'),
  'a grammar that is ambiguous': () => ebnf('root ::= part part part\npart ::= "a" part part | ""'),
  'rules in a chain': () =>
    ebnf(`root ::= r0\n${numbered(4000, (index) => `r${index} ::= r${index + 1}\n`)}r4000 ::= "a"`),
  'rules that double': () =>
    ebnf(
      `root ::= r0\n${numbered(30, (index) => `r${index} ::= r${index + 1} r${index + 1}\n`)}r30 ::= "a" | ""`,
    ),
  'rules without their ends': () => ebnf('root ::= "a" other'),
  'a grammar of nothing': () => ebnf('root ::= ""'),
  'text without quotes': () => ebnf('root ::= a b c'),
  'a grammar that breaks off': () => ebnf('root ::= ("a" | "b'),
  'any JSON': () => ({ response_format: { type: 'json_object' } }),
  'an empty schema': () => schema({}),
  'a schema that nothing fits': () => schema(false),
  'a schema that contradicts itself': () => schema({ type: 'integer', minimum: 5, maximum: 4 }),
  'a schema that refers to itself': () => schema({ $ref: '#' }),
  'a schema of schemas': () =>
    schema({ type: 'object', properties: { a: { $ref: '#' } }, additionalProperties: false }),
  'a schema that refers to nothing': () => schema({ $ref: '#/$defs/none' }),
  'a schema of another place': () => schema({ $ref: 'https://evil.test/schema.json' }),
  'a deep schema': () =>
    schema(nested<object>(40, { type: 'string' }, (items) => ({ type: 'array', items }))),
  'a schema of many fields': () =>
    schema({
      type: 'object',
      properties: Object.fromEntries(
        Array.from({ length: 2000 }, (_, index) => [`f${index}`, { type: 'string' }]),
      ),
    }),
  'a long enumeration': () => schema({ enum: Array.from({ length: 6000 }, (_, index) => `v${index}`) }),
  'a long array': () => schema({ type: 'array', items: { type: 'integer' }, minItems: 4000, maxItems: 4000 }),
  'a number of many digits': () => schema({ type: 'integer', minimum: 10 ** 15, maximum: 10 ** 15 + 9 }),
  'choices of schemas': () =>
    schema(
      nested<object>(8, { type: 'string' }, (inner) => ({
        anyOf: [inner, { type: 'array', items: inner }],
      })),
    ),
  'a pattern in a schema': () => schema({ type: 'string', pattern: '^(a+)+$' }),
  'a pattern in a schema that is none': () => schema({ type: 'string', pattern: '(' }),
  'a schema with a field __proto__': () =>
    schema(
      JSON.parse('{"type":"object","properties":{"__proto__":{"type":"string"}},"required":["__proto__"]}'),
    ),
};
const PIECES = [
  'a',
  'b',
  '[a-c]',
  '.',
  '(',
  ')',
  '|',
  '*',
  '+',
  '?',
  '{2,3}',
  '^',
  '$',
  '\\d',
  '\\',
  '[',
  ']',
  '{',
  '}',
  '-',
  ',',
  '😀',
];

/** Where the fault of each form is, if it has one. */
const placeOf = (form: Form): string =>
  'response_format' in form ? 'response_format' : 'regex' in form.tidar ? 'tidar.regex' : 'tidar.grammar';

/** What rules the form of a text: it is compiled beside the model, and must not hold it up. */
export const grammars: Kind = {
  name: 'grammar',
  weight: 4,
  draw(random) {
    const name = random.pick([...Object.keys(FORMS), 'a random pattern', 'a random pattern']);
    const form =
      FORMS[name]?.() ??
      regex(Array.from({ length: random.whole(1, 12) }, () => random.pick(PIECES)).join(''));
    const changes = { ...form, max_tokens: random.whole(1, 8), seed: random.whole(1, 1000) };
    return {
      title: `${name}: ${JSON.stringify(form).slice(0, 80)}`,
      target: 'edge',
      async play(world) {
        const headers = [JSON_BODY, bearer(world.keys[3] ?? '')];
        const outcome = await ask(world.edge.url, {
          method: 'POST',
          target: CHAT,
          headers,
          body: utf8(chatBody(changes)),
        });
        const isRefused = outcome.answers[0]?.status === 400;
        return judge(
          outcome,
          { statuses: [200, 400], ...(isRefused ? { at: placeOf(form) } : {}) },
          world.hidden('edge'),
        );
      },
    };
  },
};
