import { describe, expect, it } from 'vitest';
import { GrammarCompiler } from './grammar-compiler.ts';
import type { GrammarEngineName } from './grammar-compiler.ts';
import { BYTE_VOCABULARY, takesText } from './testing.ts';

const regex = (pattern: string) => ({ type: 'regex', pattern }) as const;

describe.each<GrammarEngineName>(['automaton', 'xgrammar'])('the grammar compiler on %s', (engine) => {
  const open = async (maxGrammars: number): Promise<GrammarCompiler> =>
    GrammarCompiler.forVocabulary(BYTE_VOCABULARY, { engine, maxGrammars });

  it('compiles an equal spec once', async () => {
    const compiler = await open(4);
    expect(await compiler.compile(regex('a'))).toBe(await compiler.compile(regex('a')));
    const [one, other] = await Promise.all([compiler.compile(regex('b')), compiler.compile(regex('b'))]);
    expect([takesText(one.start(), 'b'), takesText(other.start(), 'b'), compiler.numKept]).toEqual([
      true,
      true,
      2,
    ]);
  });

  it('keeps the latest used up to its limit, and texts of a forgotten grammar go on', async () => {
    const compiler = await open(2);
    const first = await compiler.compile(regex('ab'));
    const state = first.start();
    const second = await compiler.compile(regex('b'));
    expect(await compiler.compile(regex('ab'))).toBe(first);
    await compiler.compile(regex('c')); // forgets 'b'
    expect(await compiler.compile(regex('ab'))).toBe(first);
    await compiler.compile(regex('b'));
    await compiler.compile(regex('c')); // forgets 'ab'
    expect(compiler.numKept).toBe(2);
    expect([state.accept(97), state.accept(98), state.accept(256)]).toEqual([true, true, true]);
    expect([takesText(first.start(), 'ab'), takesText(second.start(), 'b')]).toEqual([true, true]);
    expect(await compiler.compile(regex('ab'))).not.toBe(first);
  });

  it('refuses what is wrong as a rejected promise', async () => {
    const compiler = await open(2);
    await expect(compiler.compile(regex('('))).rejects.toMatchObject({
      code: 'invalid_request',
      param: 'response_format',
    });
    expect(compiler.numKept).toBe(0);
  });
});
