import { hashText } from '../arithmetic/problem.ts';
import type { Random } from '../random.ts';
import type { Country } from './countries.ts';
import { factQuestions } from './questions.ts';
import type { FactQuestion } from './questions.ts';

/** One question with its answer. */
export interface Turn {
  question: string;
  answer: string;
}

/** Further phrasings of the questions of questions.ts, by their first phrasing. */
export const morePhrasings: Readonly<Record<string, readonly string[]>> = {
  'What is the capital of {c}?': [
    'Do you know the capital of {c}?',
    'Tell me the capital of {c}.',
    'What city is the capital of {c}?',
    "What's the capital of {c}?",
    'Can you tell me what the capital of {c} is?',
  ],
  'How many people live in {c}?': [
    "What's the population of {c}?",
    'Tell me how many people live in {c}.',
    'How many inhabitants does {c} have?',
    'Do you know how many people live in {c}?',
  ],
  'How large is {c}?': [
    'How big is {c}?',
    "What's the area of {c}?",
    'Tell me the area of {c}.',
    'Do you know how large {c} is?',
  ],
  'Where is {c}?': [
    'Where can I find {c}?',
    'Tell me where {c} is.',
    'Do you know where {c} is?',
    'On which part of the map is {c}?',
  ],
  'What is the currency of {c}?': [
    "What's the currency of {c}?",
    'How do people pay in {c}?',
    'Tell me the currency of {c}.',
    'With what money do people pay in {c}?',
  ],
  'What is the official language of {c}?': [
    'Tell me the official language of {c}.',
    "What's the official language of {c}?",
    'Which official languages does {c} have?',
  ],
  'When did {c} become independent?': [
    'Tell me when {c} became independent.',
    'What year did {c} become independent?',
    'Do you know when {c} became independent?',
  ],
  'What is the internet country code of {c}?': [
    'Tell me the internet country code of {c}.',
    "What's the internet domain of {c}?",
  ],
  'What is the highest point of {c}?': [
    'Tell me the highest point of {c}.',
    "What's the highest mountain of {c}?",
    'How high is the highest point of {c}?',
  ],
  'Which countries border {c}?': [
    'Tell me the neighbors of {c}.',
    'What countries does {c} border?',
    'Which neighbors does {c} have?',
  ],
  'Tell me about {c}.': [
    'What is {c}?',
    'Describe {c}.',
    'Tell me something about {c}.',
    'Say a few words about {c}.',
  ],
};

/** The question of each kind of fact as it follows on another one about the same country. */
const followUps: Readonly<Record<string, readonly string[]>> = {
  'What is the capital of {c}?': ['And what is its capital?', 'What about the capital?', 'And the capital?'],
  'How many people live in {c}?': [
    'And how many people live there?',
    'How many people live there?',
    'And the population?',
  ],
  'How large is {c}?': ['And how large is it?', 'How large is it?', 'And its area?'],
  'Where is {c}?': ['And where is it?', 'Where is that?'],
  'What is the currency of {c}?': [
    'And what is its currency?',
    'How do people pay there?',
    'And the currency?',
  ],
  'What is the official language of {c}?': [
    'And the official language?',
    'Which languages are official there?',
  ],
  'When did {c} become independent?': [
    'And when did it become independent?',
    'Since when is it independent?',
  ],
  'What is the highest point of {c}?': ['And its highest point?', 'What is the highest point there?'],
  'Which countries border {c}?': [
    'And which countries border it?',
    'And its neighbors?',
    'Which countries are next to it?',
  ],
};

const heldOutShare = 1 / 20;

/** Further phrasings are held out by their text. */
const isHeldOutPhrasing = (question: string): boolean =>
  hashText(`phrasing:${question}`) < heldOutShare * 2 ** 32;

/** Facts with more phrasings; questions.ts and `isHeldOutPhrasing` hold some out. */
export function chatFacts(countries: readonly Country[]): FactQuestion[] {
  const base = factQuestions(countries);
  const known = new Map(base.map((each) => [each.question, each]));
  const further = countries.flatMap((country) =>
    Object.entries(morePhrasings).flatMap(([first, phrasings]) => {
      const fact = known.get(first.replace('{c}', country.name));
      return phrasings.flatMap((phrasing) => {
        const question = phrasing.replace('{c}', country.name);
        return fact === undefined ? [] : [{ ...fact, question, heldOut: isHeldOutPhrasing(question) }];
      });
    }),
  );
  return [...base, ...further];
}

/** For each country a conversation of three questions, one that turns to another country, and one double question. */
export function conversations(countries: readonly Country[], random: Random): Turn[][] {
  const facts = new Map(chatFacts(countries).map((each) => [each.question, each]));
  const fact = (first: string, name: string): FactQuestion | undefined =>
    facts.get(first.replace('{c}', name));
  const ask = (first: string, name: string): string =>
    random.pick([first, ...(morePhrasings[first] ?? [])]).replace('{c}', name);
  return countries.flatMap(({ name }) => {
    const known = random.shuffle(Object.keys(followUps).filter((first) => fact(first, name) !== undefined));
    const [a = '', b = '', c = '', d = ''] = known;
    if (known.length < 4) return [];
    const answer = (first: string, of = name): string => fact(first, of)?.answer ?? '';
    const other = random.pick(countries).name;
    const three: Turn[] = [
      { question: ask(a, name), answer: answer(a) },
      ...[b, c].map((first) => ({ question: random.pick(followUps[first] ?? []), answer: answer(first) })),
    ];
    const turnsTo: Turn[] = [
      { question: ask(b, name), answer: answer(b) },
      { question: random.pick([`What about ${other}?`, `And ${other}?`]), answer: answer(b, other) },
    ];
    const double: Turn[] = [
      { question: `${joinQuestions(c, d).replaceAll('{c}', name)}`, answer: `${answer(c)} ${answer(d)}` },
    ];
    const isKnown = answer(b, other) !== '' && other !== name;
    return [three, ...(isKnown ? [turnsTo] : []), double].filter(
      ([turn]) => turn !== undefined && facts.get(turn.question)?.heldOut !== true,
    );
  });
}

/** "What is the capital of Chad, and how large is it?" */
function joinQuestions(first: string, second: string): string {
  const pronoun = /in \{c\}\?$/.test(second)
    ? second.replace(' in {c}', ' there')
    : second.replace(/the ([\w ]+) of \{c\}/, 'its $1').replace('{c}', 'it');
  return `${first.replace(/\?$/, '')}, and ${pronoun.charAt(0).toLowerCase()}${pronoun.slice(1)}`;
}
