import { factQuestions } from './factbook/questions.ts';
import { readCountries } from './factbook/countries.ts';
import { generateProblems, isTrained } from './arithmetic/generate.ts';
import { formatAnswer, isHeldOut } from './arithmetic/problem.ts';
import type { Problem } from './arithmetic/problem.ts';
import { longerChains, newTemplates, trainedTemplates } from './arithmetic/templates.ts';
import { Random } from './random.ts';

/** A question with the text that the model is taught to answer. */
export interface Example {
  question: string;
  answer: string;
}

export type HeldOutKind = 'seen-template' | 'new-template' | 'longer-chain' | 'factbook';

/** A line of heldout.jsonl: `expected` is what an answer is compared with. */
export interface HeldOutExample extends Example {
  kind: HeldOutKind;
  expected: string;
}

/** Every split draws from a stream of its own, so changing the size of one leaves the others as they are. */
const streams = { training: 1, validation: 2, heldOut: 3 } as const;

function streamOf(seed: number, stream: keyof typeof streams): Random {
  return new Random(seed * 16 + streams[stream]);
}

/** Arithmetic for training, without end and without a repetition. */
export function trainingProblems(seed: number): IteratorObject<Example> {
  return generateProblems(trainedTemplates, streamOf(seed, 'training'), isTrained).map(toExample);
}

/** Held-out numbers of trained templates, for the loss on text that was never trained. */
export function validationExamples(seed: number, count: number): Example[] {
  const problems = generateProblems(trainedTemplates, streamOf(seed, 'validation'), isHeldOut);
  return problems.take(count).map(toExample).toArray();
}

/** Facts for training, each once. */
export function trainingFacts(): Example[] {
  return factQuestions(readCountries())
    .filter((each) => !each.heldOut)
    .map(({ question, answer }) => ({ question, answer }));
}

const heldOutCounts = {
  'seen-template': 400,
  'new-template': 200,
  'longer-chain': 200,
  factbook: 200,
} as const;

/** The questions that models are scored on. */
export function heldOutExamples(seed: number): HeldOutExample[] {
  const random = streamOf(seed, 'heldOut');
  const arithmetic = (
    [
      ['seen-template', trainedTemplates, isHeldOut],
      ['new-template', newTemplates, () => true],
      ['longer-chain', longerChains, () => true],
    ] as const
  ).flatMap(([kind, templates, accept]) =>
    generateProblems(templates, random, accept)
      .take(heldOutCounts[kind])
      .map((problem) => ({ kind, ...toExample(problem), expected: String(problem.answer) }))
      .toArray(),
  );
  const facts = random.shuffle(factQuestions(readCountries()).filter((each) => each.heldOut));
  const factbook = facts
    .slice(0, heldOutCounts.factbook)
    .map(({ question, answer }) => ({ kind: 'factbook' as const, question, answer, expected: answer }));
  return [...arithmetic, ...factbook];
}

function toExample(problem: Problem): Example {
  return { question: problem.question, answer: formatAnswer(problem) };
}
