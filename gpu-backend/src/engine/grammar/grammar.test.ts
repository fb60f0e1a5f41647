import { Ajv2020 } from 'ajv/dist/2020.js';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import type { GrammarEngineName } from './grammar-compiler.ts';
import { GrammarCompiler } from './grammar-compiler.ts';
import type { GrammarSpec } from './spec.ts';
import { demoTokenizer, drawTokens, idsOf, makeRandom } from './testing.ts';
import { vocabularyOf } from './vocabulary.ts';

const { tokenizer, config } = demoTokenizer();
const vocabulary = vocabularyOf(tokenizer, config);
const END = 259;

const SCHEMAS: Record<string, object> = {
  'a record': {
    type: 'object',
    properties: {
      name: { type: 'string', minLength: 1, maxLength: 12 },
      'a "quoted"\\key': { type: 'boolean' },
      age: { type: 'integer', minimum: -5, exclusiveMaximum: 130 },
      share: { type: 'number', exclusiveMinimum: 0, maximum: 7.25 },
      kind: { enum: ['a', 'b"', 3, null, { x: [1, 'y'] }] },
      code: { type: 'string', pattern: '^[A-Z_]{2,3}-\\d+"$' },
      when: { type: 'string', format: 'date' },
    },
    required: ['name', 'kind', 'share'],
  },
  'a recursive tree': {
    $ref: '#/$defs/node',
    $defs: {
      node: {
        type: 'object',
        properties: {
          value: { type: 'number' },
          children: { type: 'array', items: { $ref: '#/$defs/node' }, maxItems: 3 },
        },
        required: ['value'],
      },
    },
  },
  'an open record': {
    type: 'object',
    properties: { total: { type: 'integer' }, to: { type: 'string' } },
    additionalProperties: { type: ['boolean', 'null'] },
  },
  'a tagged union': {
    oneOf: [
      {
        type: 'object',
        properties: { type: { const: 'circle' }, r: { type: 'number' } },
        required: ['type', 'r'],
      },
      { type: 'object', properties: { type: { const: 'line' }, to: { type: 'string' } }, required: ['type'] },
      { type: 'array', prefixItems: [{ type: 'integer' }, { type: 'string' }], minItems: 1 },
    ],
  },
  anything: {},
};
/** Of characters that xgrammar tells apart wrongly. */
const BEYOND_ASCII = { type: 'string', pattern: '^[A-Zéα-ω]{1,4}[^日本]$' };
const PATTERNS = [
  '[A-Z][a-z]+( [A-Z][a-z]+)*',
  '(0|[1-9]\\d{0,3})(\\.\\d+)?',
  '[^a-z]{3,6}',
  '(a|ab)(c|bcd)*',
  '[α-ω日本]+|.x',
  'x*',
];
const EBNF = 'root ::= expr\nexpr ::= term (" "? [-+*/] " "? term)*\nterm ::= [0-9]{1,4} | "(" expr ")"\n';
const SPECS: [string, GrammarSpec][] = [
  ...Object.entries(SCHEMAS).map(([name, schema]): [string, GrammarSpec] => [
    name,
    { type: 'json_schema', schema },
  ]),
  ['a JSON object', { type: 'json_object' }],
  ...PATTERNS.map((pattern): [string, GrammarSpec] => [pattern, { type: 'regex', pattern }]),
  ['arithmetic', { type: 'grammar', ebnf: EBNF }],
];
const seed = fc.integer();

describe.each<GrammarEngineName>(['automaton', 'xgrammar'])('grammars followed by %s', (engine) => {
  let compiler: GrammarCompiler;
  beforeAll(async () => {
    compiler = await GrammarCompiler.create(tokenizer, config, { engine });
  });
  /** Of characters beyond ASCII xgrammar 0.1.27 knows only all and none, and takes bytes that are no UTF-8. */
  const isRight = (pattern: string): boolean => engine === 'automaton' || !/[α-ω.^]/.test(pattern);

  /** Its broken UTF-8 counts as one character of a maxLength, and is read as several. */
  const rightSchemas = Object.entries(SCHEMAS).filter(
    ([name]) => engine === 'automaton' || name !== 'a record',
  );

  it.each(rightSchemas)('any text drawn under the masks parses and validates: %s', async (_, schema) => {
    const grammar = await compiler.compile({ type: 'json_schema', schema });
    const validate = new Ajv2020({ strict: false, validateFormats: false }).compile(schema);
    fc.assert(
      fc.property(seed, fc.nat(60), (start, numTokens) => {
        const text = tokenizer.decode(drawTokens(grammar.start(), vocabulary, makeRandom(start), numTokens));
        expect(validate(JSON.parse(text)), text).toBe(true);
      }),
      { numRuns: 40 },
    );
  });

  it.runIf(engine === 'automaton')('characters beyond ASCII are told apart inside JSON, too', async () => {
    const grammar = await compiler.compile({ type: 'json_schema', schema: BEYOND_ASCII });
    fc.assert(
      fc.property(seed, (start) => {
        const text = tokenizer.decode(drawTokens(grammar.start(), vocabulary, makeRandom(start), 3));
        expect(JSON.parse(text)).toMatch(new RegExp(BEYOND_ASCII.pattern, 'u'));
      }),
    );
  });

  it('any text drawn for a JSON object is one', async () => {
    const grammar = await compiler.compile({ type: 'json_object' });
    fc.assert(
      fc.property(seed, (start) => {
        const text = tokenizer.decode(drawTokens(grammar.start(), vocabulary, makeRandom(start), 60));
        const value: unknown = JSON.parse(text);
        expect(typeof value === 'object' && value !== null && !Array.isArray(value), text).toBe(true);
      }),
      { numRuns: 40 },
    );
  });

  it.each(PATTERNS.filter(isRight))(
    'any text drawn for a regular expression matches it: %s',
    async (pattern) => {
      const grammar = await compiler.compile({ type: 'regex', pattern });
      const whole = new RegExp(`^(?:${pattern})$`, 'u');
      fc.assert(
        fc.property(seed, fc.nat(12), (start, numTokens) => {
          const text = tokenizer.decode(
            drawTokens(grammar.start(), vocabulary, makeRandom(start), numTokens),
          );
          expect(text).toMatch(whole);
        }),
        { numRuns: 60 },
      );
    },
  );

  it.each(SPECS)(
    'a token is accepted exactly if its bit is set, and special tokens never: %s',
    async (_, spec) => {
      const grammar = await compiler.compile(spec);
      fc.assert(
        fc.property(seed, fc.nat(20), (start, numTokens) => {
          const state = grammar.start();
          const random = makeRandom(start);
          for (let count = 0; count < numTokens; count++) {
            const legal = idsOf(state.allowed(), vocabulary.size).filter((id) => id !== END);
            if (legal.length === 0) break;
            state.accept(legal[Math.floor(random() * legal.length)]!);
          }
          const legal = new Set(idsOf(state.allowed(), vocabulary.size));
          expect([256, 257, 258, 260, 261].filter((id) => legal.has(id))).toEqual([]);
          for (let id = -1; id <= vocabulary.size; id++) {
            const isAccepted = state.accept(id);
            if (isAccepted) state.rollback(1);
            expect(isAccepted, `token ${id} ${JSON.stringify(tokenizer.decode([id]))}`).toBe(legal.has(id));
          }
          state.dispose();
        }),
        { numRuns: 5 },
      );
    },
  );

  it.each(SPECS)('drafts that are taken back leave no trace: %s', async (_, spec) => {
    const grammar = await compiler.compile(spec);
    const moves = fc.array(fc.record({ numPushed: fc.nat(6), numPopped: fc.nat(6) }), { maxLength: 8 });
    fc.assert(
      fc.property(seed, moves, (start, all) => {
        const random = makeRandom(start);
        const state = grammar.start();
        const held: number[] = [];
        for (const { numPushed, numPopped } of all) {
          for (let count = 0; count < numPushed; count++) {
            const legal = idsOf(state.allowed(), vocabulary.size);
            const tokenId = legal[Math.floor(random() * legal.length)];
            if (tokenId === undefined) break;
            expect(state.accept(tokenId)).toBe(true);
            held.push(tokenId);
          }
          const numBack = Math.min(numPopped, held.length);
          state.rollback(numBack);
          held.length -= numBack;
          const fresh = grammar.start();
          expect(held.every((tokenId) => fresh.accept(tokenId))).toBe(true);
          expect(state.allowed()).toEqual(fresh.allowed());
          fresh.dispose();
        }
        state.dispose();
      }),
      { numRuns: 15 },
    );
  });

  it('an end token is legal exactly where the text may end, and after it nothing is', async () => {
    const state = (await compiler.compile({ type: 'regex', pattern: 'ab?' })).start();
    const [a, b] = [97, 98];
    expect([state.accept(END), state.accept(a), state.accept(END)]).toEqual([false, true, true]);
    expect([idsOf(state.allowed(), vocabulary.size), state.accept(b), state.accept(END)]).toEqual([
      [],
      false,
      false,
    ]);
    state.rollback(1);
    expect([state.accept(b), idsOf(state.allowed(), vocabulary.size)]).toEqual([true, [END]]);
    state.dispose();
  });

  it('more tokens than were accepted are never taken back', async () => {
    const state = (await compiler.compile({ type: 'regex', pattern: 'aaa' })).start();
    state.accept(97);
    state.accept(98);
    for (const numTokens of [2, -1, 0.5, NaN]) expect(() => state.rollback(numTokens)).toThrow(RangeError);
    state.rollback(1);
    expect(() => state.rollback(1)).toThrow(RangeError);
    expect(state.accept(97)).toBe(true);
    state.dispose();
  });

  it('ids beyond the tokenizer, where the logits are wider, are never legal', async () => {
    const { vocabSize } = config;
    const wider = vocabSize + 76;
    const wide = await GrammarCompiler.create(tokenizer, { ...config, vocabSize: wider }, { engine });
    const state = (await wide.compile({ type: 'regex', pattern: '.*' })).start();
    expect(state.allowed()!.length).toBe(Math.ceil(wider / 32));
    expect(idsOf(state.allowed(), wider).filter((id) => id >= vocabSize)).toEqual([]);
    expect(state.accept(vocabSize + 26)).toBe(false);
    state.dispose();
  });
});

describe('both ways to follow a grammar', () => {
  /** Beyond ASCII xgrammar is wrong (it also takes bytes that UTF-8 has no use for); with a maxLength it is slow. */
  const comparable = SPECS.filter(([name]) => !['a record', '[α-ω日本]+|.x'].includes(name));

  const isAscii = (id: number): boolean => vocabulary.bytesOf(id)?.every((byte) => byte < 0x80) ?? true;

  it.each(comparable)('allow the same tokens at every place: %s', async (_, spec) => {
    const [one, other] = await Promise.all(
      (['automaton', 'xgrammar'] as const).map(async (engine) => {
        const compiler = await GrammarCompiler.create(tokenizer, config, { engine });
        return compiler.compile(spec);
      }),
    );
    fc.assert(
      fc.property(seed, (start) => {
        const random = makeRandom(start);
        const [first, second] = [one!.start(), other!.start()];
        for (let count = 0; count < 40; count++) {
          const [legal, alsoLegal] = [first, second].map((state) =>
            idsOf(state.allowed(), vocabulary.size).filter(isAscii),
          );
          expect(alsoLegal).toEqual(legal);
          const tokenId = legal![Math.floor(random() * legal!.length)];
          if (tokenId === undefined) break;
          expect([first.accept(tokenId), second.accept(tokenId)]).toEqual([true, true]);
        }
        first.dispose();
        second.dispose();
      }),
      { numRuns: 10 },
    );
  });
});
