import type { Pattern } from './pattern.ts';

/** Pages, minutes, years and miles. */
export const time: readonly Pattern[] = [
  {
    id: 'pages-a-day',
    numbers: { a: [3, 25], b: [2, 9] },
    questions: ['{name} reads {a} pages each day. How many pages does {name} read in {b} days?'],
    steps: ['{name} reads [a * b -> c] pages.'],
  },
  {
    id: 'pages-left',
    numbers: { t: [40, 150], a: [3, 15], b: [2, 9] },
    questions: [
      'A book has {t} pages. {name} reads {a} pages each day for {b} days. How many pages are left?',
    ],
    steps: ['{name} reads [a * b -> c] pages.', 'There are [t - c -> d] pages left.'],
  },
  {
    id: 'days-to-finish',
    numbers: { a: [2, 9], q: [3, 20] },
    derived: { t: ({ a = 0, q = 0 }) => a * q },
    questions: ['A book has {t} pages. {name} reads {a} pages each day. How many days does {name} need?'],
    steps: ['{name} needs [t / a -> r] days.'],
  },
  {
    id: 'there-and-back',
    numbers: { a: [5, 50], b: [5, 50] },
    questions: [
      '{name} walks {a} minutes to school and {b} minutes back. How many minutes does {name} walk in all?',
    ],
    steps: ['{name} walks [a + b -> c] minutes.'],
  },
  {
    id: 'ages',
    numbers: { a: [4, 30], b: [2, 20], c: [2, 20] },
    questions: [
      '{name} is {a} years old and {name2} is {b} years older. How old will {name2} be in {c} years?',
    ],
    steps: ['Now {name2} is [a + b -> d] years old.', 'In {c} years {name2} will be [d + c -> e] years old.'],
  },
  {
    id: 'practice-minutes',
    numbers: { a: [5, 30], n: [2, 6], b: [5, 40] },
    questions: [
      '{name} practices {a} minutes on each of {n} days and {b} minutes on Sunday. How many minutes does {name} practice?',
    ],
    steps: ['On the {n} days it is [a * n -> c] minutes.', 'In all it is [c + b -> d] minutes.'],
  },
  {
    id: 'miles-driven',
    numbers: { a: [20, 30, 40, 50, 60], b: [2, 9], c: [2, 40] },
    questions: [
      '{name} drives {b} hours at {a} miles an hour and then {c} miles more. How many miles does {name} drive?',
    ],
    steps: ['In {b} hours it is [b * a -> d] miles.', 'In all it is [d + c -> e] miles.'],
    where: ({ a = 0, b = 0 }) => a * b <= 240,
  },
  {
    id: 'episodes-and-film',
    numbers: { a: [2, 6], b: [5, 30], c: [30, 90] },
    questions: [
      '{name} watches {a} shows of {b} minutes each and a film of {c} minutes. How many minutes does {name} watch?',
    ],
    steps: ['The shows take [a * b -> d] minutes.', 'In all it takes [d + c -> e] minutes.'],
  },
  {
    id: 'years-younger',
    numbers: { a: [20, 60], b: [2, 18] },
    questions: ['{name} is {a} years old. {name2} is {b} years younger. How old is {name2}?'],
    steps: ['{name2} is [a - b -> c] years old.'],
  },
];
