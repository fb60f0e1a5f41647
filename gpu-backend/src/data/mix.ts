import { generateProblems, isTrained } from './arithmetic/generate.ts';
import { formatAnswer, isHeldOut } from './arithmetic/problem.ts';
import type { Problem, Template } from './arithmetic/problem.ts';
import { trainedTemplates } from './arithmetic/templates.ts';
import { chatFacts, conversations } from './factbook/chat.ts';
import type { Turn } from './factbook/chat.ts';
import { readCountries } from './factbook/countries.ts';
import { refusals, smallTalk } from './factbook/refusals.ts';
import { jsonQuestion } from './json/objects.ts';
import type { JsonQuestion } from './json/objects.ts';
import { Random } from './random.ts';
import { storyTemplates } from './stories/templates.ts';
import { bodyOf, cut, readDeclarations, subjectOf } from './typescript/sources.ts';
import type { Declaration } from './typescript/sources.ts';

/** A document is a chat of one turn or a few. */
export type Chat = readonly Turn[];

/** The parts of the mix, in the order in which they are told of. */
export const PARTS = ['arithmetic', 'factbook', 'typescript', 'json'] as const;
export type Part = (typeof PARTS)[number];

/** Every part and split draws from a stream of its own, so changing one leaves the others as they are. */
export function streamOf(seed: number, part: string, split: 'training' | 'validation' | 'heldOut'): Random {
  const parts = ['stories', 'templates', 'factbook', 'typescript', 'json', 'choices'];
  const splits = ['training', 'validation', 'heldOut'];
  return new Random(seed * 1_000 + parts.indexOf(part) * 10 + splits.indexOf(split) + 100);
}

/** Written templates are a fourth of the word problems, composed stories the rest. */
const templateEvery = 4;

/** Word problems without end and without a repetition. */
export function* wordProblems(
  seed: number,
  split: 'training' | 'validation' | 'heldOut',
  accept: (problem: Problem) => boolean = split === 'training' ? isTrained : isHeldOut,
): Generator<Problem, never> {
  const draw = (part: string, templates: readonly Template[]): Generator<Problem, never> =>
    generateProblems(templates, streamOf(seed, part, split), accept);
  const stories = draw('stories', storyTemplates);
  const written = draw('templates', trainedTemplates);
  for (let i = 0; ; i++) yield (i % templateEvery === 0 ? written : stories).next().value;
}

export const problemTurn = (problem: Problem): Turn => ({
  question: problem.question,
  answer: formatAnswer(problem),
});

/** Facts, conversations, small talk and refusals; the last two are few, so they are repeated. */
export function factChats(seed: number): Chat[] {
  const countries = readCountries();
  const random = streamOf(seed, 'factbook', 'training');
  const facts = chatFacts(countries).filter(({ heldOut }) => !heldOut);
  const talk = smallTalk();
  return [
    ...facts.map(({ question, answer }) => [{ question, answer }]),
    ...conversations(countries, random),
    ...[...talk, ...talk, ...talk, ...talk].map((turn) => [turn]),
    ...refusals(countries, random).map((turn) => [turn]),
  ];
}

/** What is asked of the model for a declaration cut after some lines. */
export const completionQuestion = (prompt: string): string => `Complete this declaration:\n${prompt}`;

/** A declaration as a chat. */
export function completion({ text }: Declaration, random: Random): Turn | undefined {
  const parts = cut(text, random);
  return parts && { question: completionQuestion(parts.prompt), answer: parts.rest };
}

const mostTaskCharacters = 460;

/**
 * Declarations kept for evaluation whose subject has no trained piece and whose body is no trained one's: neither the
 * same schema cut elsewhere nor its twin under another name. Long ones are left out, which many tokenizers would bring
 * beyond a training sequence.
 */
export function heldOutDeclarations(): Declaration[] {
  const all = readDeclarations();
  const trained = all.filter(({ isHeldOut }) => !isHeldOut);
  const subjects = new Set(trained.map(({ text }) => subjectOf(text)));
  const bodies = new Set(trained.map(({ text }) => bodyOf(text)));
  return all.filter(
    ({ isHeldOut, text }) =>
      isHeldOut &&
      text.length <= mostTaskCharacters &&
      !subjects.has(subjectOf(text)) &&
      !bodies.has(bodyOf(text)),
  );
}

/** All trained declarations again and again, each time cut anew. */
export function* completions(seed: number): Generator<Turn, never> {
  const random = streamOf(seed, 'typescript', 'training');
  const trained = readDeclarations().filter(({ isHeldOut }) => !isHeldOut);
  for (;;) {
    for (const each of random.shuffle([...trained])) {
      const turn = completion(each, random);
      if (turn !== undefined) yield turn;
    }
  }
}

/** Questions for JSON objects without end and without a repetition. */
export function* jsonQuestions(random: Random, isHeldOutWanted: boolean): Generator<JsonQuestion, never> {
  const seen = new Set<string>();
  for (;;) {
    const next = jsonQuestion(random);
    if (next.isHeldOut !== isHeldOutWanted || seen.has(next.question)) continue;
    seen.add(next.question);
    yield next;
  }
}

export const jsonTurn = ({ question, expected }: JsonQuestion): Turn => ({
  question,
  answer: JSON.stringify(expected),
});

/** Documents of a part for training, without end. */
export function* trainingChats(part: Part, seed: number): Generator<Chat, never> {
  switch (part) {
    case 'arithmetic':
      for (const problem of wordProblems(seed, 'training')) yield [problemTurn(problem)];
      break;
    case 'typescript':
      for (const turn of completions(seed)) yield [turn];
      break;
    case 'json':
      for (const each of jsonQuestions(streamOf(seed, 'json', 'training'), false)) yield [jsonTurn(each)];
      break;
    case 'factbook':
      yield* repeat(factChats(seed));
  }
  throw new Error(`the part ${part} has an end`);
}

function* repeat<T>(items: readonly T[]): Generator<T, never> {
  for (;;) yield* items;
}

/** Held-out documents of each part, for the loss on text that was never trained. */
export function validationChats(part: Part, seed: number, count: number): Chat[] {
  switch (part) {
    case 'arithmetic':
      return wordProblems(seed, 'validation')
        .take(count)
        .map((problem) => [problemTurn(problem)])
        .toArray();
    case 'factbook': {
      const heldOut = chatFacts(readCountries()).filter(({ heldOut }) => heldOut);
      return streamOf(seed, 'factbook', 'validation')
        .shuffle(heldOut)
        .slice(0, count)
        .map(({ question, answer }) => [{ question, answer }]);
    }
    case 'typescript': {
      const random = streamOf(seed, 'typescript', 'validation');
      const heldOut = random.shuffle(heldOutDeclarations());
      return heldOut
        .flatMap((each) => completion(each, random) ?? [])
        .slice(0, count)
        .map((turn) => [turn]);
    }
    case 'json':
      return jsonQuestions(streamOf(seed, 'json', 'validation'), true)
        .take(count)
        .map((each) => [jsonTurn(each)])
        .toArray();
  }
}
