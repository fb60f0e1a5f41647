import { factQuestions } from './factbook/questions.ts';
import { readCountries } from './factbook/countries.ts';
import { generateProblems } from './arithmetic/generate.ts';
import { isHeldOut } from './arithmetic/problem.ts';
import { longerChains, newTemplates, trainedTemplates } from './arithmetic/templates.ts';
import type { Turn } from './factbook/chat.ts';
import { problemTurn } from './mix.ts';
import { Random } from './random.ts';

type HeldOutKind = 'seen-template' | 'new-template' | 'longer-chain' | 'factbook';

/** A line of heldout.jsonl: `expected` is what an answer is compared with. */
export interface HeldOutExample extends Turn {
  kind: HeldOutKind;
  expected: string;
}

const heldOutCounts = {
  'seen-template': 400,
  'new-template': 200,
  'longer-chain': 200,
  factbook: 200,
} as const;

/** The questions that models are scored on. */
export function heldOutExamples(seed: number): HeldOutExample[] {
  const random = new Random(seed * 16 + 3);
  const arithmetic = (
    [
      ['seen-template', trainedTemplates, isHeldOut],
      ['new-template', newTemplates, () => true],
      ['longer-chain', longerChains, () => true],
    ] as const
  ).flatMap(([kind, templates, accept]) =>
    generateProblems(templates, random, accept)
      .take(heldOutCounts[kind])
      .map((problem) => ({ kind, ...problemTurn(problem), expected: String(problem.answer) }))
      .toArray(),
  );
  const facts = random.shuffle(factQuestions(readCountries()).filter((each) => each.heldOut));
  const factbook = facts
    .slice(0, heldOutCounts.factbook)
    .map(({ question, answer }) => ({ kind: 'factbook' as const, question, answer, expected: answer }));
  return [...arithmetic, ...factbook];
}
