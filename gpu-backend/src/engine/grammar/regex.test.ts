import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { refusal } from '../../model/testing/tiny-tokenizer.ts';
import { GrammarCompiler } from './grammar-compiler.ts';
import { readSpec } from './read-spec.ts';
import { BYTE_VOCABULARY, takesText } from './testing.ts';

const compiler = await GrammarCompiler.forVocabulary(BYTE_VOCABULARY);

const atom = fc.constantFrom(
  'a',
  'b',
  '.',
  '[ab]',
  '[^a]',
  '\\d',
  '\\W',
  '\\s',
  'é',
  '\\u{1F600}',
  '[a-y日]',
  '\\.',
  '\\x62',
  '\\n',
  '[]',
  '[^]',
);
const { pattern } = fc.letrec<{ pattern: string; piece: string }>((tie) => ({
  piece: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    atom,
    fc
      .tuple(atom, fc.constantFrom('*', '+', '?', '{2}', '{1,}', '{0,2}', '*?', '{3}'))
      .map((parts) => parts.join('')),
    fc
      .tuple(tie('pattern'), fc.constantFrom('', '*', '+', '?', '{0,2}'))
      .map(([inner, times]) => `(${inner})${times}`),
    fc.tuple(tie('pattern')).map(([inner]) => `(?:${inner})`),
  ),
  pattern: fc
    .array(fc.array(tie('piece'), { maxLength: 3 }), { minLength: 1, maxLength: 3 })
    .map((options) => options.map((pieces) => pieces.join('')).join('|')),
}));
const text = fc.string({
  unit: fc.constantFrom('a', 'b', 'c', '1', ' ', '\n', 'é', '日', '😀', '.', '"', '\\'),
  maxLength: 6,
});
const isRefused = (act: () => unknown): boolean => {
  try {
    act();
    return false;
  } catch {
    return true;
  }
};

describe('regular expressions', () => {
  it('take a text exactly if the whole of it matches in JavaScript', async () => {
    await fc.assert(
      fc.asyncProperty(pattern, fc.array(text, { minLength: 5, maxLength: 5 }), async (source, texts) => {
        fc.pre(!isRefused(() => readSpec({ type: 'regex', pattern: source })));
        const grammar = await compiler.compile({ type: 'regex', pattern: source });
        const whole = new RegExp(`^(?:${source})$`, 'u');
        for (const each of texts) {
          expect(takesText(grammar.start(), each), JSON.stringify([source, each])).toBe(whole.test(each));
        }
      }),
      { numRuns: 300 },
    );
  });

  it("in a schema's pattern take a string exactly if JavaScript finds a match in it", async () => {
    const anchored = fc
      .array(
        fc.tuple(
          fc.constantFrom('', '^'),
          pattern.map((source) => `(?:${source})`),
          fc.constantFrom('', '$'),
        ),
        { minLength: 1, maxLength: 2 },
      )
      .map((options) => options.map((parts) => parts.join('')).join('|'));
    await fc.assert(
      fc.asyncProperty(anchored, fc.array(text, { minLength: 5, maxLength: 5 }), async (source, texts) => {
        const spec = { type: 'json_schema', schema: { type: 'string', pattern: source } } as const;
        fc.pre(!isRefused(() => readSpec(spec)));
        const grammar = await compiler.compile(spec);
        for (const each of texts) {
          const isFound = new RegExp(source, 'u').test(each);
          expect(takesText(grammar.start(), JSON.stringify(each)), JSON.stringify([source, each])).toBe(
            isFound,
          );
        }
      }),
      { numRuns: 200 },
    );
  });

  it.each([
    ['a(', 'is no regular expression'],
    ['a{2,1}', 'is no regular expression'],
    ['(a)\\1', 'a back reference'],
    ['(?=a)b', 'a lookaround'],
    ['(?<!a)b', 'a lookaround'],
    ['\\p{L}', 'a Unicode property'],
    ['a\\b', 'a word boundary'],
    ['a^b', 'an anchor inside'],
    ['a$b', 'an anchor inside'],
    ['(^a|b)', 'an anchor inside'],
    ['a{5000}', 'a count above 4096'],
    ['((a{100}){100}){100}', 'parts once its repetitions are written out'],
    [`${'('.repeat(65)}a${')'.repeat(65)}`, 'more than 64 levels'],
    ['[]', 'No text can satisfy'],
    ['\\ud800', 'half of a surrogate pair'],
    ['a'.repeat(70_000), 'at most 65536'],
  ])('that are wrong or not supported are refused with a sentence that says so: %.20s', (source, reason) => {
    const error = refusal(() => readSpec({ type: 'regex', pattern: source }));
    expect([error.code, error.param]).toEqual(['invalid_request', 'response_format']);
    expect(error.message).toContain(reason);
  });
});
