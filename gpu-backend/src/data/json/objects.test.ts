import { Ajv } from 'ajv';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { jsonQuestions, streamOf } from '../mix.ts';
import { Random } from '../random.ts';
import { jsonQuestion } from './objects.ts';

const ajv = new Ajv();

describe('questions for JSON', () => {
  it('have an object that fits its schema, with the keys asked for in their order', () => {
    fc.assert(
      fc.property(fc.integer(), (seed) => {
        const { question, schema, expected } = jsonQuestion(new Random(seed));
        expect(ajv.validate(schema, expected)).toBe(true);
        const asked = [...question.split('\n')[1]!.matchAll(/(\w+) \((?:string|integer|boolean|array)\)/g)];
        expect(asked.map(([, key]) => key)).toEqual(Object.keys(expected));
      }),
    );
  });

  it('tell every value but truths, which are told in words', () => {
    fc.assert(
      fc.property(fc.integer(), (seed) => {
        const { question, expected } = jsonQuestion(new Random(seed));
        const [told = ''] = question.split('\n');
        for (const value of Object.values(expected).flat()) {
          if (typeof value !== 'boolean') expect(told).toMatch(new RegExp(`\\b${String(value)}\\b`));
        }
      }),
    );
  });

  it('say no and yes in different words', () => {
    const questions = jsonQuestions(new Random(1), false).take(3_000).toArray();
    const tellings = Map.groupBy(
      questions.flatMap(({ question, expected }) =>
        Object.entries(expected)
          .filter(([, value]) => typeof value === 'boolean' && Object.keys(expected).length === 2)
          .map(([key, value]) => ({ key, value, told: question.split('\n')[0]!.replace(/^(The )?\w+/, '') })),
      ),
      ({ key, told }) => key + told,
    );
    expect(tellings.size).toBeGreaterThan(8);
    for (const same of tellings.values()) expect(new Set(same.map(({ value }) => value)).size).toBe(1);
  });

  it('train no set of keys in an order that is held out', () => {
    const keysOf = (isHeldOut: boolean): Set<string> =>
      new Set(
        jsonQuestions(streamOf(1, 'json', isHeldOut ? 'heldOut' : 'training'), isHeldOut)
          .take(5_000)
          .map(({ expected }) => Object.keys(expected).join()),
      );
    const trained = keysOf(false);
    const heldOut = keysOf(true);
    expect([...heldOut].filter((keys) => trained.has(keys))).toEqual([]);
    expect(heldOut.size / (heldOut.size + trained.size)).toBeGreaterThan(0.05);
  });
});
