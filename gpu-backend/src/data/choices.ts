import { operate } from './arithmetic/pattern.ts';
import { chatFacts } from './factbook/chat.ts';
import type { FactQuestion } from './factbook/questions.ts';
import { readCountries } from './factbook/countries.ts';
import {
  completion,
  heldOutDeclarations,
  jsonQuestions,
  jsonTurn,
  problemTurn,
  streamOf,
  wordProblems,
} from './mix.ts';
import type { Random } from './random.ts';

/** A question whose answer is one of four texts. */
interface Choices {
  context: string;
  choices: string[];
  /** Index of the right one. */
  answer: number;
}

const counts = { facts: 80, arithmetic: 60, typescript: 40, json: 20 };
const numWrong = 3;

/**
 * Held-out questions of every part, each with the right answer and three wrong ones that look alike: the same fact of
 * other countries, a step with another result or operation, the rest of other declarations, an object with values
 * changed.
 */
export function choiceLines(seed: number, random: Random): Choices[] {
  return random.shuffle([
    ...factChoices(random),
    ...arithmeticChoices(seed, random),
    ...typescriptChoices(random),
    ...jsonChoices(seed, random),
  ]);
}

function choose(context: string, right: string, wrong: readonly string[], random: Random): Choices[] {
  const others = [...new Set(wrong)].filter((each) => each !== right).slice(0, numWrong);
  if (others.length < numWrong) return [];
  const choices = random.shuffle([right, ...others]);
  return [{ context, choices, answer: choices.indexOf(right) }];
}

function factChoices(random: Random): Choices[] {
  const facts = chatFacts(readCountries());
  const shapeOf = ({ question, country }: FactQuestion): string => question.replace(country, '{c}');
  const byShape = Map.groupBy(facts, shapeOf);
  return random
    .shuffle(facts.filter(({ heldOut }) => heldOut))
    .flatMap((fact) => {
      const others = (byShape.get(shapeOf(fact)) ?? []).filter(({ country }) => country !== fact.country);
      const swapped = others.map(({ answer, country }) => answer.replace(country, fact.country));
      return choose(fact.question, fact.answer, random.shuffle(swapped), random);
    })
    .slice(0, counts.facts);
}

/** The wrong ones have the first step's computation wrong: another result, or the numbers taken otherwise. */
function arithmeticChoices(seed: number, random: Random): Choices[] {
  return wordProblems(seed + 1, 'heldOut')
    .flatMap((problem) => {
      const { question } = problemTurn(problem);
      const step = problem.steps[0] ?? '';
      const wrong = [
        step.replace(/= \d+/, (result) => `= ${Number(result.slice(2)) + random.integer(1, 9)}`),
        ...random.shuffle(['+', '-', '*'].map((operator) => otherOperation(step, operator))),
      ];
      return choose(question, step, wrong, random);
    })
    .take(counts.arithmetic)
    .toArray();
}

/** The step with another operation, worked out rightly. */
function otherOperation(step: string, operator: string): string {
  return step.replace(/(\d+) [-+*/] (\d+) = \d+/, (_, left: string, right: string) => {
    const [a, b] = [Number(left), Number(right)];
    const [first, second] = operator === '-' && b > a ? [b, a] : [a, b];
    return `${first} ${operator} ${second} = ${operate(first, operator, second)}`;
  });
}

function typescriptChoices(random: Random): Choices[] {
  const turns = random.shuffle(heldOutDeclarations()).flatMap((each) => completion(each, random) ?? []);
  const isAlike = (a: string, b: string): boolean =>
    a.split('\n')[1] === b.split('\n')[1] && a.split('\n').length === b.split('\n').length;
  return turns
    .flatMap(({ question, answer }) => {
      const others = turns.filter((other) => isAlike(other.question, question)).map((other) => other.answer);
      return choose(question, answer, random.shuffle(others), random);
    })
    .slice(0, counts.typescript);
}

function jsonChoices(seed: number, random: Random): Choices[] {
  return jsonQuestions(streamOf(seed + 1, 'json', 'heldOut'), true)
    .flatMap((question) => {
      const { answer } = jsonTurn(question);
      const wrong = Array.from({ length: 12 }, () => withOneChange(question.expected, random));
      return choose(question.question, answer, wrong, random);
    })
    .take(counts.json)
    .toArray();
}

/** One value is another one: a number off by some, a truth turned, a text or list cut. */
function withOneChange(object: Record<string, unknown>, random: Random): string {
  const key = random.pick(Object.keys(object));
  const value = object[key];
  const changed =
    typeof value === 'number'
      ? value + random.integer(1, 9)
      : typeof value === 'boolean'
        ? !value
        : typeof value === 'string'
          ? value.slice(0, -random.integer(1, 2))
          : [];
  return JSON.stringify({ ...object, [key]: changed });
}
