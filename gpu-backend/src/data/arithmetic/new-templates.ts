import type { Pattern } from './pattern.ts';

/** Never trained: they ask whether a skill learnt on other templates carries over to a new story. */
export const newTemplates: readonly Pattern[] = [
  {
    id: 'new-shelves',
    numbers: { a: [2, 9], b: [3, 12], c: [2, 30] },
    questions: [
      '{name} has {a} shelves with {b} books on each. {She} sells {c} books. How many books does {name} have left?',
    ],
    steps: ['There are [a * b -> d] books on the shelves.', '{name} has [d - c -> e] books left.'],
  },
  {
    id: 'new-market',
    numbers: { a: [2, 30], b: [2, 30], c: [2, 30] },
    questions: [
      '{name} buys {a} {fruits} and {b} {fruits2} at the market and eats {c} of them. How many are left?',
    ],
    steps: ['In all {name} has [a + b -> d] {fruits} and {fruits2}.', 'There are [d - c -> e] left.'],
  },
  {
    id: 'new-marbles-per-bag',
    numbers: { a: [2, 20], b: [2, 9], q: [2, 12] },
    derived: { t: ({ a = 0, b = 0, q = 0 }) => a + b * q },
    questions: [
      '{name} has {t} {items}. {She} loses {a} and puts the rest into {b} {boxes} equally. How many {items} are in each {box}?',
    ],
    steps: ['{name} has [t - a -> c] {items} left.', 'Each {box} holds [c / b -> r] {items}.'],
  },
  {
    id: 'new-tickets',
    numbers: { a: [2, 9], b: [2, 12], c: [2, 20] },
    questions: [
      '{a} friends go to the zoo. A ticket costs {b} dollars and parking costs {c} dollars. How many dollars do they pay in all?',
    ],
    steps: ['The tickets cost [a * b -> d] dollars.', 'In all they pay [d + c -> e] dollars.'],
  },
  {
    id: 'new-runs',
    numbers: { a: [2, 20], b: [2, 20] },
    questions: [
      '{name} runs {a} miles. {name2} runs {b} miles more than {name}. How many miles do they run together?',
    ],
    steps: ['{name2} runs [a + b -> c] miles.', 'Together they run [a + c -> d] miles.'],
  },
];
