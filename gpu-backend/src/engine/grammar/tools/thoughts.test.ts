import { describe, expect, it } from 'vitest';
import type { AfterThoughtSpec } from '../spec.ts';
import { takes } from '../testing.ts';
import { compiler, THOUGHTS, tokensOf } from './testing.ts';

const BRACKETS = { open: '[THINK]', close: '[/THINK]' };

describe.each([
  ['as text', THOUGHTS, []],
  ['as special tokens', BRACKETS, [BRACKETS.open, BRACKETS.close]],
])('a text of a form after thoughts whose marks are written %s', (_, thoughts, specialMarks) => {
  const takesText = async (text: string, isThinking: boolean): Promise<boolean> => {
    const form = { type: 'json_schema' as const, schema: { enum: ['yes', 'no'] } };
    const spec: AfterThoughtSpec = { type: 'after_thought', thoughts, isThinking, specialMarks, text: form };
    return takes((await compiler.compile(spec)).start(), tokensOf(text), 256);
  };
  const { open, close } = thoughts;

  it('has its form, after any thought or none', async () => {
    for (const text of ['"yes"', `${open}"maybe" < no${close}\n\n"no"`])
      expect(await takesText(text, false)).toBe(true);
    for (const text of [
      'yes',
      '\n"yes"',
      `${open}Hm${close}maybe`,
      `${open}Hm`,
      `${open}"yes"`,
      `"yes"${open}${close}`,
    ])
      expect(await takesText(text, false)).toBe(false);
  });

  it('ends a thought first in which its prompt ends', async () => {
    expect(await takesText(`Hm.${close}"yes"`, true)).toBe(true);
    expect(await takesText('"yes"', true)).toBe(false);
  });
});
