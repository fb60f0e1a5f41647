import type { Random } from '../random.ts';
import type { Problem, Template } from './problem.ts';
import { Words } from './words.ts';

export type Numbers = Record<string, number>;

/**
 * A template as data. In texts `{a}` is a number, `{name}` a word (see words.ts). In steps `[a + b -> c]`
 * computes, names the result and reads `12 + 5 = 17`; the last result is the answer.
 */
export interface Pattern {
  id: string;
  /** Ranges, both ends included, or lists of choices (three and more). */
  numbers: Record<string, readonly number[]>;
  /** Numbers that follow from the drawn ones, such as a total that divides exactly. */
  derived?: Record<string, (numbers: Numbers) => number>;
  /** Draws for which this is false are thrown away. */
  where?: (numbers: Numbers) => boolean;
  questions: readonly string[];
  steps: readonly string[];
}

/** Results are kept small and above one: the model is small, and "1 apples" is no English. */
export const smallestResult = 2;
const largestResult = 300;
const maxDraws = 10_000;

/** Makes a template of a pattern. */
export function template(pattern: Pattern): Template {
  return {
    id: pattern.id,
    weight: Math.min(pattern.steps.length, 2),
    generate(random) {
      for (let i = 0; i < maxDraws; i++) {
        const problem = tryGenerate(pattern, random);
        if (problem !== undefined) return problem;
      }
      throw new Error(`template ${pattern.id}: no draw of ${maxDraws} fits its conditions`);
    },
  };
}

function tryGenerate(pattern: Pattern, random: Random): Problem | undefined {
  const numbers = drawNumbers(pattern, random);
  const drawn = Object.values(numbers);
  for (const [name, derive] of Object.entries(pattern.derived ?? {})) numbers[name] = derive(numbers);
  if (!Object.values(numbers).every(isUsable)) return undefined;
  if (pattern.where !== undefined && !pattern.where(numbers)) return undefined;

  const words = new Words(random);
  const question = fill(random.pick(pattern.questions), numbers, words, pattern.id);
  const steps: string[] = [];
  let answer = Number.NaN;
  for (const step of pattern.steps) {
    const computed = compute(step, numbers, pattern.id);
    if (computed === undefined) return undefined;
    answer = computed.result;
    steps.push(fill(computed.text, numbers, words, pattern.id));
  }
  return { templateId: pattern.id, numbers: drawn, question, steps, answer };
}

function drawNumbers(pattern: Pattern, random: Random): Numbers {
  const numbers: Numbers = {};
  for (const [name, range] of Object.entries(pattern.numbers)) {
    const [min, max] = range;
    const isRange = range.length === 2 && min !== undefined && max !== undefined;
    numbers[name] = isRange ? random.integer(min, max) : random.pick(range);
  }
  return numbers;
}

/** Whether a problem may have this number as a result. */
export function isUsable(value: number): boolean {
  return Number.isInteger(value) && value >= smallestResult && value <= largestResult;
}

/** Replaces `[a + b -> c]` by `1 + 2 = 3` and stores c. Undefined where the result is not usable. */
function compute(step: string, numbers: Numbers, id: string): { text: string; result: number } | undefined {
  const match = /\[(\w+) ([-+*/]) (\w+) -> (\w+)\]/.exec(step);
  if (match === null) throw new Error(`template ${id}: no computation in "${step}"`);
  const [whole, left = '', operator = '', right = '', target = ''] = match;
  const a = operand(left, numbers, id);
  const b = operand(right, numbers, id);
  const result = operate(a, operator, b);
  if (!isUsable(result)) return undefined;
  numbers[target] = result;
  return { text: step.replace(whole, `${a} ${operator} ${b} = ${result}`), result };
}

function operand(name: string, numbers: Numbers, id: string): number {
  const value = /^\d+$/.test(name) ? Number(name) : numbers[name];
  if (value === undefined) throw new Error(`template ${id}: no number is called ${name}`);
  return value;
}

/** The value of `a operator b`. */
export function operate(a: number, operator: string, b: number): number {
  switch (operator) {
    case '+':
      return a + b;
    case '-':
      return a - b;
    case '*':
      return a * b;
    case '/':
      return a / b;
    default:
      throw new Error(`no such operator: ${operator}`);
  }
}

const parts = new Map([
  [2, 'half'],
  [3, 'third'],
  [4, 'quarter'],
  [5, 'fifth'],
  [10, 'tenth'],
]);

/** Fills the placeholders. `{d:part}` writes the number 3 as "third". */
function fill(text: string, numbers: Numbers, words: Words, id: string): string {
  return text.replace(/\{(\w+)(:part)?\}/g, (whole, name: string, asPart: string | undefined) => {
    const number = numbers[name];
    const value = number === undefined ? words.get(name) : asPart ? parts.get(number) : String(number);
    if (value === undefined) throw new Error(`template ${id}: nothing fills ${whole}`);
    return value;
  });
}
