import { formatAnswer } from './arithmetic/problem.ts';
import type { Problem } from './arithmetic/problem.ts';
import { extractAnswer } from './extract-answer.ts';

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
export function faultsOf(problem: Problem): string[] {
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
  check(/^[A-Z\d].*[?.]$/.test(problem.question), `not a question: ${problem.question}`);
  return faults;
}
