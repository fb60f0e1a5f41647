import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { extractAnswer } from '../extract-answer.ts';
import { Random } from '../random.ts';
import { generateProblems, isTrained } from './generate.ts';
import { formatAnswer, isHeldOut } from './problem.ts';
import type { Problem } from './problem.ts';
import { longerChains, newTemplates, trainedTemplates } from './templates.ts';

const allTemplates = [...trainedTemplates, ...newTemplates, ...longerChains];
const computation = /(\d+) ([-+*/]) (\d+) = (\d+)/g;
/** Numbers that a step may use although no digit of the question says them: legs, halves, "a fifth", "20%". */
const knownNumbers = [2, 3, 4, 5, 10];

function evaluate(left: number, operator: string, right: number): number {
  if (operator === '+') return left + right;
  if (operator === '-') return left - right;
  return operator === '*' ? left * right : left / right;
}

function numbersIn(text: string): number[] {
  return [...text.matchAll(/\d+/g)].map(([digits]) => Number(digits));
}

/** What is wrong with a problem, judged by its text alone. */
function faultsOf(problem: Problem): string[] {
  const faults: string[] = [];
  const check = (isRight: boolean, fault: string): number => (isRight ? 0 : faults.push(fault));
  const known = new Set([...numbersIn(problem.question), ...knownNumbers]);
  let last = Number.NaN;
  for (const step of problem.steps) {
    const computations = [...step.matchAll(computation)];
    check(computations.length === 1, `not one computation: ${step}`);
    const [, left, operator = '', right, result] = computations[0] ?? [];
    check(known.has(Number(left)) && known.has(Number(right)), `a number from nowhere: ${step}`);
    last = Number(result);
    check(evaluate(Number(left), operator, Number(right)) === last, `wrong: ${step}`);
    known.add(last);
  }
  const text = formatAnswer(problem);
  check(problem.answer === last && extractAnswer(text) === String(last), 'the answer is not the last result');
  check(last >= 2 && last <= 300, `an answer out of range: ${last}`);
  check(!/[{}[\]]|undefined|NaN/.test(problem.question + text), `a placeholder is left: ${problem.question}`);
  check(/^[A-Z\d].*\?$/.test(problem.question), `not a question: ${problem.question}`);
  return faults;
}

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
