import { describe, expect, it } from 'vitest';
import { refusal } from '../../model/testing/tiny-tokenizer.ts';
import { GrammarCompiler } from './grammar-compiler.ts';
import { readSpec } from './read-spec.ts';
import { BYTE_VOCABULARY, takesText } from './testing.ts';

const compiler = await GrammarCompiler.forVocabulary(BYTE_VOCABULARY);
const take = async (ebnf: string, text: string): Promise<boolean> =>
  takesText((await compiler.compile({ type: 'grammar', ebnf })).start(), text);

/** A grammar with texts that it takes and texts that it does not. */
const CASES: [string, string[], string[]][] = [
  ['root ::= "a" | "b"  # one letter', ['a', 'b'], ['', 'ab', 'c']],
  [
    'root ::= pair ("," pair)*\npair ::= [a-z]+ "=" [0-9]{1,2}',
    ['a=1', 'ab=12,c=3'],
    ['a=', 'a=123', 'a=1,'],
  ],
  ['root ::= "(" root ")" | ""', ['', '()', '(())'], ['(', '())']],
  ['root ::= [^"\\n]* "\\"" "\\u00e9\\x21"', ['ab"é!', '日"é!'], ['a\n"é!', 'ab"']],
  ['root ::=\n  "x"?\n  | "y"+\nunused ::= "z"', ['', 'x', 'yy'], ['xx', 'z']],
  ['root ::= [\\-\\]a]{2,}', ['-]', 'a-a'], ['-', 'b]']],
  ['root ::= a\na ::= "1" b | "2"\nb ::= a "3"', ['2', '123', '11233'], ['13', '12']],
  ['root ::= (("a"?)*)* "b"', ['b', 'aab'], ['a']],
  ['root ::= digit{3}\ndigit ::= [0-9]', ['123'], ['12', '1234']],
];

describe('EBNF', () => {
  it.each(CASES)('takes the texts of its rules, and no others: %s', async (ebnf, legal, illegal) => {
    for (const text of legal) expect([text, await take(ebnf, text)]).toEqual([text, true]);
    for (const text of illegal) expect([text, await take(ebnf, text)]).toEqual([text, false]);
  });

  it('never leads where no text can end', async () => {
    const state = (
      await compiler.compile({ type: 'grammar', ebnf: 'root ::= "a" endless | "b"\nendless ::= "c" endless' })
    ).start();
    expect([state.accept(97), state.accept(98)]).toEqual([false, true]);
  });

  it.each([
    ['', 'no rule "root"'],
    ['start ::= "a"', 'no rule "root"'],
    ['root = "a"', '"::=" should follow'],
    ['root ::= missing', 'uses rule "missing"'],
    ['root ::= "a', '"\\"" is missing'],
    ['root ::= [a', '"]" is missing'],
    ['root ::= ("a"', '")" is missing'],
    ['root ::= "a"\nroot ::= "b"', 'defined twice'],
    ['root ::= root "a" | "a"', 'left recursion'],
    ['root ::= x\nx ::= ""  y\ny ::= x? root | "q"', 'left recursion'],
    ['root ::= "a" root', 'No text can satisfy'],
    ['root ::= "a" (= "b")', 'lookahead'],
    ['root ::= [z-a]', 'ends before it begins'],
    ['root ::= "\\q"', 'escape "\\q"'],
    ['root ::= "\\u12"', 'hexadecimal'],
    ['root ::= "a"{9999}', 'a count above 4096'],
    ['root ::= "a"{3,2}', 'ends before it begins'],
    ['root ::= "a"\n%%', 'line 2, column 1'],
    [`root ::= ${'('.repeat(65)}"a"${')'.repeat(65)}`, 'more than 64 levels'],
  ])('that is wrong is refused with a sentence that says where: %.40s', (ebnf, reason) => {
    const error = refusal(() => readSpec({ type: 'grammar', ebnf }));
    expect([error.code, error.param]).toEqual(['invalid_request', 'response_format']);
    expect(error.message).toContain(reason);
  });

  it('that reads a text in countless ways is refused where it begins to', async () => {
    const atOnce = compiler.compile({ type: 'grammar', ebnf: 'root ::= (("a"? "b"?){0,60}){0,60}' });
    await expect(atOnce).rejects.toMatchObject({ code: 'invalid_request' });
    const ebnf = 'root ::= ("a" root "b" | "a" root "c" | "a" root "d" | "a")';
    const state = (await compiler.compile({ type: 'grammar', ebnf })).start();
    const readOn = (): void => {
      for (let count = 0; count < 20; count++) state.accept(97);
    };
    expect(refusal(readOn).message).toContain('more than 2048 ways');
  });
});
