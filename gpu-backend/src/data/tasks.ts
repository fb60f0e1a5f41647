import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { generateProblems } from './arithmetic/generate.ts';
import type { Problem } from './arithmetic/problem.ts';
import { longerChains, unseenTemplates } from './arithmetic/templates.ts';
import { choiceLines } from './choices.ts';
import { chatFacts } from './factbook/chat.ts';
import type { Turn } from './factbook/chat.ts';
import { readCountries } from './factbook/countries.ts';
import { refusals } from './factbook/refusals.ts';
import { factChats, heldOutDeclarations, jsonQuestions, problemTurn, streamOf, wordProblems } from './mix.ts';
import type { Random } from './random.ts';
import { longerStories } from './stories/templates.ts';
import { cut } from './typescript/sources.ts';

/** How many questions each task has. */
const counts = {
  seen: 400,
  perUnseen: 10,
  chains: 200,
  facts: 180,
  refusals: 20,
  typescript: 100,
  json: 100,
};

/** The held-out tasks by file name, one object a line. The State of the Union is text that is not made here. */
export function makeTasks(seed: number): Record<string, object[]> {
  const stream = (part: string): Random => streamOf(seed, part, 'heldOut');
  return {
    'arithmetic-seen.jsonl': wordProblems(seed, 'heldOut').take(counts.seen).map(problemTurn).toArray(),
    'arithmetic-new.jsonl': unseenProblems(stream('templates')).map(problemTurn),
    'arithmetic-chains.jsonl': longProblems(stream('stories')).map(problemTurn),
    'factbook.jsonl': factLines(seed, stream('factbook')),
    'typescript.jsonl': typescriptLines(stream('typescript')),
    'continuation-choices.jsonl': choiceLines(seed, stream('choices')),
    'json.jsonl': jsonQuestions(stream('json'), true)
      .take(counts.json)
      .map(({ question, schema, expected }) => ({ question, schema, expected }))
      .toArray(),
  };
}

/** Writes the tasks into a folder. */
export function writeTasks(folder: string, seed: number): void {
  mkdirSync(folder, { recursive: true });
  for (const [name, lines] of Object.entries(makeTasks(seed))) {
    writeFileSync(join(folder, name), lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
  }
}

/** Equally many of each template that is never trained, in turn. */
function unseenProblems(random: Random): Problem[] {
  return inTurn(
    unseenTemplates.map((template) =>
      generateProblems([template], random, () => true)
        .take(counts.perUnseen)
        .toArray(),
    ),
  );
}

/** Chains of four and five events, where three are trained, and stories of five and six steps, where four are. */
function longProblems(random: Random): Problem[] {
  return inTurn(
    [longerChains, longerStories].map((templates) =>
      generateProblems(templates, random, () => true)
        .take(counts.chains / 2)
        .toArray(),
    ),
  );
}

/** The first of each list, then the second of each: a task that is cut short still has all kinds. */
function inTurn<T>(lists: readonly (readonly T[])[]): T[] {
  const longest = Math.max(...lists.map(({ length }) => length));
  return Array.from({ length: longest }, (_, i) => lists.flatMap((each) => each.slice(i, i + 1))).flat();
}

/** Held-out phrasings of facts, and questions that can't be answered: made-up names of their own. */
function factLines(seed: number, random: Random): Turn[] {
  const countries = readCountries();
  const heldOut = random.shuffle(chatFacts(countries).filter((each) => each.heldOut));
  const trained = new Set(factChats(seed).map(([turn]) => turn?.question));
  const unanswerable = random
    .shuffle(refusals(countries, random))
    .filter(({ question }) => !trained.has(question));
  return random.shuffle([
    ...heldOut.slice(0, counts.facts).map(({ question, answer }) => ({ question, answer })),
    ...unanswerable.slice(0, counts.refusals),
  ]);
}

/** HumanEval's form; no declaration twice, and one cut each. */
function typescriptLines(random: Random): object[] {
  return random
    .shuffle(heldOutDeclarations())
    .flatMap((each) => cut(each.text, random) ?? [])
    .filter(({ rest }) => rest.split('\n').length > 2)
    .slice(0, counts.typescript)
    .map(({ prompt, rest }, i) => ({ task_id: `typescript/${i}`, prompt, canonical_solution: rest }));
}
