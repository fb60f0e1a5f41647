import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { longerChains, newTemplates, trainedTemplates, unseenTemplates } from './arithmetic/templates.ts';
import { newTemplates as newPatterns } from './arithmetic/new-templates.ts';
import { unseenTemplates as unseenPatterns } from './arithmetic/unseen-templates.ts';
import { extractAnswer } from './extract-answer.ts';
import {
  completionQuestion,
  factChats,
  jsonQuestions,
  streamOf,
  trainingChats,
  wordProblems,
} from './mix.ts';
import { Random } from './random.ts';
import { makeTasks } from './tasks.ts';

interface Line {
  question: string;
  answer: string;
  context: string;
  choices: string[];
  prompt: string;
  canonical_solution: string;
}
const tasks = makeTasks(1);
const lines = (name: string): Line[] => tasks[`${name}.jsonl`] as Line[];
const trainedProblems = wordProblems(1, 'training').take(30_000).toArray();
const trainedQuestions = new Set([
  ...trainedProblems.map(({ question }) => question),
  ...factChats(1).flatMap((chat) => chat.map(({ question }) => question)),
  ...jsonQuestions(streamOf(1, 'json', 'training'), false)
    .take(20_000)
    .map(({ question }) => question),
  ...trainingChats('typescript', 1)
    .take(12_000)
    .flatMap((chat) => chat.map(({ question }) => question)),
]);

/** A pattern's question as a text that any numbers and words may fill. */
function wording(question: string): RegExp {
  const escaped = question.replace(/[.?]/g, '\\$&').replace(/\{(\w+)\}/g, '[\\w ]+');
  return new RegExp(`^${escaped}$`);
}

describe('held-out tasks', () => {
  it('have so many lines, none twice', () => {
    const counts = Object.entries(tasks).map(([name, each]) => [
      name,
      new Set(each.map((line) => JSON.stringify(line))).size,
    ]);
    expect(Object.fromEntries(counts)).toEqual({
      'arithmetic-seen.jsonl': 400,
      'arithmetic-new.jsonl': 200,
      'arithmetic-chains.jsonl': 200,
      'factbook.jsonl': 200,
      'typescript.jsonl': 100,
      'continuation-choices.jsonl': 200,
      'json.jsonl': 100,
    });
  });

  it('are asked nowhere in training', () => {
    const questions = Object.values(tasks).flatMap((each) =>
      (each as Line[]).map(
        ({ question, context, prompt }) => question ?? context ?? completionQuestion(prompt),
      ),
    );
    expect(questions.filter((question) => trainedQuestions.has(question))).toEqual([]);
  });

  it('end with a number where they are word problems', () => {
    for (const name of ['arithmetic-seen', 'arithmetic-new', 'arithmetic-chains']) {
      for (const { answer } of lines(name)) expect(extractAnswer(answer)).toMatch(/^\d+$/);
    }
  });

  it('of new templates have ten of each of twenty, in turn', () => {
    expect(unseenTemplates).toHaveLength(20);
    expect(unseenTemplates.slice(0, newTemplates.length)).toEqual(newTemplates);
    const patterns = [...newPatterns, ...unseenPatterns].map(({ questions }) => questions.map(wording));
    const found = lines('arithmetic-new').map(({ question }) =>
      patterns.findIndex((wordings) => wordings.some((each) => each.test(question))),
    );
    expect(found).toEqual(Array.from({ length: 200 }, (_, i) => i % 20));
  });

  it('of chains take more steps than any trained problem of their kind', () => {
    const numSteps = (answer: string): number => answer.split('\n').length - 1;
    const trained = trainedProblems.map(({ steps }) => steps.length);
    expect(Math.max(...trained)).toBe(4);
    for (const [i, { answer }] of lines('arithmetic-chains').entries()) {
      expect(numSteps(answer)).toBeGreaterThanOrEqual(i % 2 === 0 ? 4 : 5);
    }
    const chains = trainedTemplates.filter(({ id }) => id.startsWith('chain-'));
    const longest = chains.map((each) => each.generate(new Random(1)).steps.length);
    expect(Math.max(...longest)).toBeLessThan(longerChains[0]!.generate(new Random(1)).steps.length);
  });

  it('of choices have four different ones, of which one is right, anywhere', () => {
    const answers = tasks['continuation-choices.jsonl']!.map((line) => {
      const { choices, answer } = line as { choices: string[]; answer: number };
      expect(new Set(choices).size).toBe(4);
      return answer;
    });
    for (let i = 0; i < 4; i++) expect(answers.filter((each) => each === i).length).toBeGreaterThan(30);
  });
});

describe('templates that are never trained', () => {
  it('are worded as no trained problem', () => {
    const wordings = [...newPatterns, ...unseenPatterns].flatMap(({ questions }) => questions.map(wording));
    for (const { question } of trainedProblems) {
      expect(
        wordings.some((each) => each.test(question)),
        question,
      ).toBe(false);
    }
  });

  it('tell of things that no trained problem tells of', () => {
    const scenes =
      /\b(shelves|zoo|fries|stairs|points|burns|slices|playlist|inches|battery|degrees|garage|quilt|fish|truck|choir)\b/;
    expect(trainedProblems.filter(({ question }) => scenes.test(question))).toEqual([]);
    for (const { questions } of unseenPatterns) {
      expect(
        questions.some((each) => scenes.test(each)),
        questions[0],
      ).toBe(true);
    }
  });

  it('take operations that are trained in other scenes', () => {
    const operators = (steps: readonly string[]): string =>
      steps.map((step) => /[\w\]] ([-+*/]) [\w]/.exec(step)?.[1] ?? '').join('');
    const trained = new Set(
      trainedProblems.map(({ steps }) =>
        operators(steps.map((each) => each.replace(/.*?(\d+ [-+*/] \d+) =.*/, '$1'))),
      ),
    );
    for (const { id, steps } of [...newPatterns, ...unseenPatterns]) {
      expect(trained.has(operators(steps.map((each) => each.replace(/.*\[(.*) ->.*/, '$1')))), id).toBe(true);
    }
  });
});

describe('the State of the Union', () => {
  it('is text in pieces that fit a small context, and no part of training', () => {
    const path = new URL('../../tasks/state-of-the-union.jsonl', import.meta.url);
    const texts = readFileSync(path, 'utf8').trimEnd().split('\n');
    for (const line of texts) {
      const { text } = JSON.parse(line) as { text: string };
      expect(text.length).toBeGreaterThanOrEqual(150);
      expect(text.length).toBeLessThanOrEqual(430);
      expect(trainedQuestions.has(text)).toBe(false);
    }
  });
});
