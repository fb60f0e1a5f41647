import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { keySettingsSchema } from '../../src/ledger/settings.ts';
import { changesOf, formOf, NEW_KEY, readForm } from './key-form.ts';

const limit = fc.option(fc.integer({ min: 1, max: 100_000 }));
const words = fc.stringMatching(/^[a-z]{1,12}$/);
const settings = fc.record({
  name: fc.option(words),
  metadata: fc.constant({}),
  models: fc.option(fc.array(words, { minLength: 1, maxLength: 3 })),
  requests_per_minute: fc.integer({ min: 1, max: 1_000_000 }),
  tokens_per_minute: limit,
  concurrent_streams: limit,
  budget_tokens: fc.option(fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER })),
  // Whole units have nine places behind the point: numbers keep that up to some millions of units.
  budget_nanos: fc.option(fc.integer({ min: 1, max: 1_000_000_000_000_000 })),
  budget_refill: fc.option(fc.constantFrom('daily' as const, 'monthly' as const)),
  // A form has minutes.
  expires_at: fc.option(fc.integer({ min: 1, max: 50_000_000 }).map((minutes) => minutes * 60)),
});

describe('the form of a key', () => {
  it('that was not touched says the settings that it was filled with, and changes none', () => {
    fc.assert(
      fc.property(settings, ({ metadata, ...given }) => {
        const key = {
          ...keySettingsSchema.parse({ ...given, metadata }),
          object: 'api_key' as const,
          id: 'a',
          created: 1,
          revoked_at: null,
        };
        const form = formOf(key);
        const read = readForm(form);
        expect(read).toEqual({ settings: given });
        expect(changesOf(form, form, given)).toEqual({});
      }),
    );
  });

  it('says which field is wrong, and of a field that was changed what it says now', () => {
    expect(readForm({ ...NEW_KEY, tokens_per_minute: 'many', budget_nanos: '-1' })).toEqual({
      problems: { tokens_per_minute: 'expected a whole number', budget_nanos: 'expected 1 or more' },
    });
    const after = { ...NEW_KEY, budget_nanos: '2.5', models: 'a, b' };
    const read = readForm(after);
    expect('settings' in read && changesOf(NEW_KEY, after, read.settings)).toEqual({
      budget_nanos: 2_500_000_000,
      models: ['a', 'b'],
    });
  });
});
