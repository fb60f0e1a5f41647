import { hashText } from '../arithmetic/problem.ts';
import type { Country } from './countries.ts';
import { joinWithAnd } from './text.ts';

/** A question with its one answer. */
export interface FactQuestion {
  country: string;
  question: string;
  answer: string;
  /** Kept for evaluation: this phrasing for this country; the fact itself is trained in other phrasings. */
  heldOut: boolean;
}

interface Fact {
  phrasings: readonly string[];
  answer: (country: Country) => string | undefined;
}

const facts: readonly Fact[] = [
  {
    phrasings: [
      'What is the capital of {c}?',
      'Which city is the capital of {c}?',
      'Name the capital of {c}.',
    ],
    answer: ({ name, capital }) => capital && `The capital of ${name} is ${capital}.`,
  },
  {
    phrasings: [
      'How many people live in {c}?',
      'What is the population of {c}?',
      'How large is the population of {c}?',
    ],
    answer: ({ name, population }) => `In 2015 about ${population} people lived in ${name}.`,
  },
  {
    phrasings: [
      'How large is {c}?',
      'What is the area of {c}?',
      'How many square kilometers does {c} cover?',
    ],
    answer: ({ name, area }) => area && `The area of ${name} is about ${area} square kilometers.`,
  },
  {
    phrasings: ['Where is {c}?', 'In which part of the world is {c}?', 'Where in the world is {c}?'],
    answer: ({ name, region }) => region && `${capitalized(name)} is in ${region}.`,
  },
  {
    phrasings: [
      'What is the currency of {c}?',
      'What money do people use in {c}?',
      'Which currency is used in {c}?',
    ],
    answer: ({ name, currency }) => currency && `In ${name} people pay with ${currency}.`,
  },
  {
    phrasings: [
      'What is the official language of {c}?',
      'Which languages are official in {c}?',
      'Which language is official in {c}?',
    ],
    answer: ({ name, officialLanguages: languages }) =>
      languages && `${joinWithAnd(languages)} ${languages.length > 1 ? 'are' : 'is'} official in ${name}.`,
  },
  {
    phrasings: [
      'When did {c} become independent?',
      'In which year did {c} become independent?',
      'Since when is {c} independent?',
    ],
    answer: ({ name, independence: its }) =>
      its && `${capitalized(name)} became independent from ${its.from} in ${its.year}.`,
  },
  {
    phrasings: [
      'What is the internet country code of {c}?',
      'Which internet domain does {c} have?',
      'How do internet addresses of {c} end?',
    ],
    answer: ({ name, internetCode }) =>
      internetCode && `The internet country code of ${name} is ${internetCode}.`,
  },
  {
    phrasings: [
      'What is the highest point of {c}?',
      'Which is the highest mountain of {c}?',
      'What is the highest place in {c}?',
    ],
    answer: ({ name, highestPoint: top }) =>
      top && `The highest point of ${name} is ${top.name} at ${top.meters} meters.`,
  },
  {
    phrasings: [
      'Which countries border {c}?',
      'What are the neighbors of {c}?',
      'Which countries are next to {c}?',
    ],
    answer: ({ name, neighbors }) => neighbors && `${capitalized(name)} borders ${joinWithAnd(neighbors)}.`,
  },
  {
    phrasings: ['Tell me about {c}.', 'Give me a short profile of {c}.', 'What do you know about {c}?'],
    answer: profile,
  },
];

const heldOutShare = 1 / 20;

/** Every question about every country, in a fixed order. At most one phrasing of a fact is held out. */
export function factQuestions(countries: readonly Country[]): FactQuestion[] {
  return countries.flatMap((country) =>
    facts.flatMap((fact) => {
      const answer = fact.answer(country);
      if (answer === undefined) return [];
      const heldOutPhrasing = chooseHeldOut(`${country.name}:${fact.phrasings[0]}`, fact.phrasings.length);
      return fact.phrasings.map((phrasing, i) => ({
        country: country.name,
        question: phrasing.replace('{c}', country.name),
        answer,
        heldOut: i === heldOutPhrasing,
      }));
    }),
  );
}

/** Chooses one phrasing for some facts (so that each phrasing is held out at `heldOutShare`), none for others. */
function chooseHeldOut(key: string, numPhrasings: number): number {
  const hash = hashText(key) / 2 ** 32;
  return hash < heldOutShare * numPhrasings ? Math.floor(hash / heldOutShare) : -1;
}

function profile(country: Country): string | undefined {
  const { name, region, capital, area, currency } = country;
  if (region === undefined || capital === undefined || area === undefined) return undefined;
  return [
    `${capitalized(name)} is in ${region}.`,
    `Its capital is ${capital}.`,
    `In 2015 about ${country.population} people lived there.`,
    `Its area is about ${area} square kilometers.`,
    ...(currency === undefined ? [] : [`People pay with ${currency}.`]),
  ].join(' ');
}

function capitalized(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
