import { describe, expect, it } from 'vitest';
import { completions, heldOutDeclarations } from '../mix.ts';
import { Random } from '../random.ts';
import { bodyOf, cut, readDeclarations, subjectOf } from './sources.ts';

const all = readDeclarations();
const trained = all.filter(({ isHeldOut }) => !isHeldOut);
const heldOut = heldOutDeclarations();

describe('declarations for training', () => {
  it('are thousands, each once, small enough for an answer of some 200 tokens', () => {
    expect(trained.length).toBeGreaterThan(5_000);
    expect(new Set(all.map(({ text }) => text)).size).toBe(all.length);
    expect(Math.max(...all.map(({ text }) => text.length))).toBeLessThanOrEqual(560);
  });

  it('have no comments, no lines of a path list, and braces that close', () => {
    for (const { text } of all) {
      expect(text).not.toMatch(/\/\*|^\s*\/\/|^export interface paths/m);
      const withoutStrings = text.replace(/"[^"]*"|'[^']*'|`[^`]*`/g, '').replaceAll('=>', '');
      for (const [open, close] of ['{}', '()', '[]', '<>']) {
        expect(withoutStrings.split(open!).length, text).toBe(withoutStrings.split(close!).length);
      }
    }
  });

  it('share no subject and no body with the held-out ones', () => {
    const subjects = new Set(trained.map(({ text }) => subjectOf(text)));
    const bodies = new Set(trained.map(({ text }) => bodyOf(text)));
    expect(heldOut.length).toBeGreaterThan(150);
    expect(heldOut.filter(({ text }) => subjects.has(subjectOf(text)) || bodies.has(bodyOf(text)))).toEqual(
      [],
    );
  });

  it('are all asked for before one is asked for again', () => {
    const texts = new Set(trained.map(({ text }) => text));
    const always = trained.filter(({ text }) => text.split('\n').length >= 6);
    const asked = completions(1)
      .take(always.length)
      .map(({ question, answer }) => question.replace('Complete this declaration:\n', '') + answer)
      .toArray();
    expect(asked.every((text) => texts.has(text))).toBe(true);
    expect(new Set(asked).size).toBe(asked.length);
  });
});

describe('cut', () => {
  it('shows the line that names the declaration and asks for the rest of it', () => {
    const random = new Random(1);
    for (const { text } of all) {
      const parts = cut(text, random);
      if (parts === undefined) continue;
      expect(parts.prompt + parts.rest).toBe(text);
      expect(parts.prompt.startsWith(`${subjectOf(text)}\n`)).toBe(true);
      expect(parts.prompt.endsWith('\n') && parts.rest !== '').toBe(true);
    }
  });

  it('gives nothing where nothing is left to ask for', () => {
    expect(cut('type A = string;', new Random(1))).toBeUndefined();
  });
});
