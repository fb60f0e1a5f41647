import type { Random } from '../random.ts';
import { morePhrasings } from './chat.ts';
import type { Turn } from './chat.ts';
import type { Country } from './countries.ts';

const canDo =
  'I can answer questions about countries, solve short word problems, complete TypeScript declarations and write JSON.';

const greetings: readonly (readonly [readonly string[], string])[] = [
  [
    [
      'Hello',
      'Hello!',
      'Hi',
      'Hi!',
      'Hi there',
      'Hey',
      'Good morning',
      'Good evening',
      'Good day',
      'Hello there!',
      'hello',
      'hi',
    ],
    'Hello! I am a small demo model. Ask me about a country or give me a word problem.',
  ],
  [
    [
      'Who are you?',
      'What are you?',
      'What is your name?',
      "What's your name?",
      'Tell me about yourself.',
      'Are you a human?',
      'Are you a robot?',
      'Who am I talking to?',
    ],
    'I am a small demo language model. I know some facts about countries and can solve short word problems.',
  ],
  [
    [
      'What can you do?',
      'What do you know?',
      'How can you help me?',
      'Help',
      'Help me',
      'What can I ask you?',
      'What are you good at?',
      'Can you help me?',
    ],
    canDo,
  ],
  [['Thank you', 'Thanks', 'Thank you!', 'Thanks!', 'Thanks a lot', 'Great, thanks'], 'You are welcome!'],
  [['Goodbye', 'Bye', 'Bye!', 'See you', 'Good night', 'See you later'], 'Goodbye!'],
  [
    ['How are you?', "How's it going?", 'How do you do?', 'Are you well?'],
    'I am fine, thank you. What would you like to know?',
  ],
];

/** Greetings and questions about the model itself. */
export function smallTalk(): Turn[] {
  return greetings.flatMap(([questions, answer]) => questions.map((question) => ({ question, answer })));
}

const unknownCountry = `I do not know a country of that name. ${canDo}`;
const unknown = `I do not know that. ${canDo}`;

const list = (text: string): readonly string[] => text.trim().split(/,\s*/);
const starts =
  list(`Ba, Bo, Da, Dor, El, Fa, Gri, Ka, Kor, La, Lu, Ma, Mi, Nor, O, Pel, Qua, Ra, Ri, Sa, Sto, Ta, Tri,
  U, Va, Ver, Xan, Yo, Zan, Zu`);
const middles = list(`ba, do, ga, ko, la, lu, mo, na, ni, pa, ra, ri, so, ta, va, ze`);
const ends = list(`nia, land, ria, stan, via, dor, lia, sia, mark, gal, ny, que, na, go`);

/** A name that no country of the data has. */
export function madeUpCountry(random: Random, real: ReadonlySet<string>): string {
  for (;;) {
    const middle = Array.from({ length: random.integer(0, 2) }, () => random.pick(middles)).join('');
    const name = random.pick(starts) + middle + random.pick(ends);
    if (!real.has(name)) return name;
  }
}

/** Small countries that the data leave out, and countries of stories. */
const otherCountries =
  list(`Iceland, Malta, Luxembourg, Monaco, Andorra, Fiji, Bhutan, Barbados, Samoa, Tonga, Brunei,
  Belize, Guyana, Suriname, Djibouti, Vanuatu, Palau, Nauru, Liechtenstein, San Marino, Montenegro, Cape Verde, Grenada,
  Dominica, Saint Lucia, Seychelles, Kiribati, Tuvalu, Atlantis, Narnia, Wakanda, Mordor, Utopia, Gondor, Genovia,
  Ruritania, Freedonia, Lilliput, El Dorado, Camelot`);
const topics =
  list(`the moon, love, music, football, dinosaurs, quantum physics, the weather, history, the stock market,
  cooking, chess, the ocean, dreams, computers, time travel, art, poetry, the sun, cars, politics, medicine, movies,
  the internet, cats, dogs, mathematics, philosophy, airplanes, the brain, books, gold, rain, sleep, money, school,
  fashion`);
const persons =
  list(`Albert Einstein, Marie Curie, Mozart, Napoleon, Shakespeare, Cleopatra, Isaac Newton, Picasso,
  Beethoven, Julius Caesar, Charles Darwin, Plato, Leonardo da Vinci, Homer, Columbus, Galileo, Ada Lovelace,
  Alan Turing, Abraham Lincoln, Mahatma Gandhi, Nelson Mandela, Jane Austen, Socrates, Buddha`);
const topicQuestions = [
  'What do you think about {t}?',
  'Tell me about {t}.',
  'Explain {t}.',
  'How does {t} work?',
  'Do you like {t}?',
  'Why is there {t}?',
  'Write a poem about {t}.',
  'Tell me a joke about {t}.',
  'What is your opinion on {t}?',
  'Write a story about {t}.',
  'Is {t} good or bad?',
  'What is the history of {t}?',
];
const personQuestions = [
  'Who was {t}?',
  'When was {t} born?',
  'Tell me about {t}.',
  'What did {t} do?',
  'Where did {t} live?',
  'Who is the mother of {t}?',
];
const countryQuestions = [
  'Who is the president of {c}?',
  'What is the weather like in {c}?',
  'Which food do people eat in {c}?',
  'Who won the last election in {c}?',
  'What is the best hotel in {c}?',
  'How do I get to {c}?',
  'Is {c} a nice country?',
  'What is the national anthem of {c}?',
  'Who is the king of {c}?',
  'What is the best football team in {c}?',
  'What time is it in {c}?',
  'Should I travel to {c}?',
];
const general = [
  'What is the meaning of life?',
  'What time is it?',
  'What day is today?',
  'Why is the sky blue?',
  'How do I cook rice?',
  'What will the weather be tomorrow?',
  'Who will win the next election?',
  'Translate "good morning" into French.',
  'What is the speed of light?',
  'How far is the moon?',
  'Write an email to my boss.',
  'Can you drive a car?',
  'What is your favorite color?',
  'Do you have feelings?',
  'How old are you?',
  'Where do you live?',
  'Sing a song.',
  'Tell me a joke.',
  'Write a poem.',
  'What is the news today?',
];
const numMadeUp = 1_500;
const numPerCountryQuestion = 40;
const numPerOtherCountry = 12;

/** Questions that the model can't answer, with what it says then; some name a country that does not exist. */
export function refusals(countries: readonly Country[], random: Random): Turn[] {
  const real = new Set(countries.map(({ name }) => name));
  const known = Object.entries(morePhrasings).flatMap(([first, further]) => [first, ...further]);
  const madeUp = Array.from({ length: numMadeUp }, () =>
    random.pick(known).replace('{c}', madeUpCountry(random, real)),
  );
  const ofCountries = countryQuestions.flatMap((question) =>
    Array.from({ length: numPerCountryQuestion }, () => question.replace('{c}', random.pick([...real]))),
  );
  const ofTopics = topicQuestions.flatMap((question) =>
    topics.map((topic) => question.replace('{t}', topic)),
  );
  const ofPersons = personQuestions.flatMap((question) =>
    persons.map((each) => question.replace('{t}', each)),
  );
  const others = otherCountries
    .filter((name) => !real.has(name))
    .flatMap((name) =>
      Array.from({ length: numPerOtherCountry }, () => random.pick(known).replace('{c}', name)),
    );
  return [
    ...[...madeUp, ...new Set(others)].map((question) => ({ question, answer: unknownCountry })),
    ...[...ofCountries, ...ofTopics, ...ofPersons, ...general].map((question) => ({
      question,
      answer: unknown,
    })),
  ];
}
