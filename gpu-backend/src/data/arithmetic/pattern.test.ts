import { describe, expect, it } from 'vitest';
import { Random } from '../random.ts';
import { template } from './pattern.ts';

describe('template', () => {
  it('computes what the brackets say and fills in numbers and words', () => {
    const made = template({
      id: 'test',
      numbers: { a: [6, 6], b: [3, 3] },
      questions: ['{a} {b:part} {name}?'],
      steps: ['It is [a * b -> c].', 'Then [c / 2 -> d].'],
    }).generate(new Random(1));
    expect(made.question).toMatch(/^6 third [A-Z][a-z]+\?$/);
    expect(made.steps).toEqual(['It is 6 * 3 = 18.', 'Then 18 / 2 = 9.']);
    expect(made.answer).toBe(9);
    expect(made.numbers).toEqual([6, 3]);
  });

  it('draws again until every result is whole, above one and the condition holds', () => {
    const made = template({
      id: 'test',
      numbers: { a: [2, 9], b: [2, 9] },
      where: ({ a = 0 }) => a !== 8,
      questions: ['?'],
      steps: ['[a / b -> c]'],
    });
    for (let seed = 0; seed < 200; seed++) {
      const { numbers, answer } = made.generate(new Random(seed));
      expect(numbers[0]).not.toBe(8);
      expect(answer * numbers[1]!).toBe(numbers[0]);
      expect(answer).toBeGreaterThan(1);
    }
  });

  it.each([
    ['an unknown word', { questions: ['{nothing}?'], steps: ['[a + a -> c]'] }, 'nothing fills {nothing}'],
    ['an unknown number', { questions: ['?'], steps: ['[a + z -> c]'] }, 'no number is called z'],
    ['a step without a computation', { questions: ['?'], steps: ['{a}'] }, 'no computation'],
    ['conditions that nothing meets', { questions: ['?'], steps: ['[a - a -> c]'] }, 'no draw'],
  ])('names %s', (_, texts, message) => {
    const broken = template({ id: 'test', numbers: { a: [2, 9] }, ...texts });
    expect(() => broken.generate(new Random(1))).toThrow(message);
  });
});
