import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Random } from '../random.ts';
import { faultsOf } from '../testing.ts';
import { generateProblems, isTrained } from './generate.ts';
import { isHeldOut } from './problem.ts';
import type { Problem } from './problem.ts';
import { longerChains, trainedTemplates, unseenTemplates } from './templates.ts';

const allTemplates = [...trainedTemplates, ...unseenTemplates, ...longerChains];
describe('arithmetic templates', () => {
  it.each(allTemplates)('$id: every step is right and uses only known numbers', (template) => {
    fc.assert(
      fc.property(fc.integer(), (seed) => {
        expect(faultsOf(template.generate(new Random(seed)))).toEqual([]);
      }),
      { numRuns: 40 },
    );
  });

  it('have ids of their own', () => {
    expect(new Set(allTemplates.map(({ id }) => id)).size).toBe(allTemplates.length);
  });

  it('give the same problem for the same seed', () => {
    for (const template of allTemplates) {
      expect(template.generate(new Random(11))).toEqual(template.generate(new Random(11)));
    }
  });

  it('the longer chains have more steps than any trained problem', () => {
    const numSteps = (templates: typeof allTemplates): number[] =>
      templates.flatMap((template) =>
        Array.from({ length: 20 }, (_, seed) => template.generate(new Random(seed)).steps.length),
      );
    expect(Math.max(...numSteps([...trainedTemplates]))).toBeLessThan(
      Math.min(...numSteps([...longerChains])),
    );
  });
});

describe('splits', () => {
  it('no held-out numbers come in training, whatever the names', () => {
    const trained = [...generateProblems(trainedTemplates, new Random(1), isTrained).take(20_000)];
    const heldOut = [...generateProblems(trainedTemplates, new Random(2), isHeldOut).take(1_000)];
    const key = (problem: Problem): string => `${problem.templateId}:${problem.numbers.join()}`;
    const trainedKeys = new Set(trained.map(key));
    expect(heldOut.filter((problem) => trainedKeys.has(key(problem)))).toEqual([]);
  });

  it('hold out about one problem in twenty', () => {
    const all = [...generateProblems(trainedTemplates, new Random(1), () => true).take(10_000)];
    const share = all.filter(isHeldOut).length / all.length;
    expect(share).toBeGreaterThan(0.04);
    expect(share).toBeLessThan(0.06);
  });

  it('a question is given once', () => {
    const problems = [...generateProblems(trainedTemplates, new Random(1), isTrained).take(10_000)];
    expect(new Set(problems.map(({ question }) => question)).size).toBe(problems.length);
  });

  it('end with an error, not in a loop, where no problem is accepted', () => {
    const none = generateProblems(trainedTemplates.slice(0, 1), new Random(1), () => false);
    expect(() => none.next()).toThrow('no more problems');
  });
});
