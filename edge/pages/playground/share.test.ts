import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DECODERS } from './api.ts';
import { DEFAULT_SETTINGS } from './settings.ts';
import type { Settings } from './settings.ts';
import { linkTo, readLink } from './share.ts';

const PAGE = { origin: 'https://edge.example', pathname: '/' };
const settings: fc.Arbitrary<Settings> = fc.record({
  model: fc.string({ maxLength: 20 }),
  form: fc.constantFrom('chat', 'text'),
  decoder: fc.constantFrom(...DECODERS),
  plan: fc.constantFrom('auto', 'dense', 'sparse'),
  draftLength: fc.option(fc.integer({ min: 1, max: 64 })),
  beta: fc.double({ min: 0, max: 1, noNaN: true }).map((value) => value + 0),
  temperature: fc.constantFrom(0, 0.7, 2),
  seed: fc.constantFrom('', '0', '18446744073709551615'),
  maxTokens: fc.integer({ min: 1, max: 5000 }),
  schema: fc.string({ unit: 'grapheme', maxLength: 40 }),
});
const questions = fc.array(fc.string({ unit: 'grapheme' }), { maxLength: 4 });
const hashOf = (link: string): string => new URL(link).hash;
const encoded = (value: unknown): string =>
  `#share=${Buffer.from(JSON.stringify(value)).toString('base64url')}`;

describe('a link to share', () => {
  it('gives back what it was made of, whatever that is, and lies all behind its #', () => {
    fc.assert(
      fc.property(settings, questions, (wanted, asked) => {
        const link = linkTo(PAGE, { settings: wanted, questions: asked });
        expect(link.split('#')[0]).toBe('https://edge.example/');
        expect(readLink(hashOf(link))).toEqual({ settings: wanted, questions: asked });
      }),
    );
  });

  it.each(['', '#', '#other', '#share=', '#share=%', '#share=e30', `#share=${'A'.repeat(33)}`])(
    'that is none, or broken, is left alone: %j',
    (hash) => {
      expect(readLink(hash)).toBeUndefined();
    },
  );

  it('by another hand can set nothing that is out of range or not known', () => {
    const wild = { beta: 7, temperature: 'hot', decoder: 'magic', maxTokens: -1, seed: 'x', key: 'secret' };
    const read = readLink(encoded({ settings: wild, questions: ['hi'] }));
    expect(read).toEqual({ settings: DEFAULT_SETTINGS, questions: ['hi'] });
  });
});
