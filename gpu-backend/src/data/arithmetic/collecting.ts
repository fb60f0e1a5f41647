import type { Pattern } from './pattern.ts';

/** Having, finding, giving away: addition and subtraction. */
export const collecting: readonly Pattern[] = [
  {
    id: 'gets-more',
    numbers: { a: [2, 40], b: [2, 30] },
    questions: [
      '{name} has {a} {items}. {name2} gives {him} {b} more. How many {items} does {name} have now?',
      '{name} has {a} {items} and buys {b} more. How many {items} does {name} have now?',
    ],
    steps: ['{name} has [a + b -> c] {items}.'],
  },
  {
    id: 'gives-away',
    numbers: { a: [6, 60], b: [2, 30] },
    questions: [
      '{name} has {a} {items} and gives {b} of them to {name2}. How many {items} does {name} have left?',
      '{name} has {a} {items} and loses {b} of them. How many {items} does {name} have left?',
    ],
    steps: ['{name} has [a - b -> c] {items} left.'],
  },
  {
    id: 'finds-and-loses',
    numbers: { a: [2, 30], b: [2, 20], c: [2, 20] },
    questions: [
      '{name} has {a} {items}. {She} finds {b} more and then loses {c}. How many {items} does {name} have now?',
    ],
    steps: ['After finding more, {name} has [a + b -> d] {items}.', 'Now {name} has [d - c -> e] {items}.'],
  },
  {
    id: 'three-days',
    numbers: { a: [2, 25], b: [2, 25], c: [2, 25] },
    questions: [
      '{name} picks {a} {fruits} on Monday, {b} on Tuesday and {c} on Sunday. How many {fruits} does {name} pick in all?',
    ],
    steps: [
      'On the first two days {name} picks [a + b -> d] {fruits}.',
      'In all {name} picks [d + c -> e] {fruits}.',
    ],
  },
  {
    id: 'two-people',
    numbers: { a: [2, 40], b: [2, 40] },
    questions: [
      '{name} has {a} {items} and {name2} has {b} {items}. How many {items} do they have together?',
      '{name} collects {a} {items}. {name2} collects {b} {items}. How many {items} do they have together?',
    ],
    steps: ['Together they have [a + b -> c] {items}.'],
  },
  {
    id: 'rest-is-other-color',
    numbers: { t: [8, 60], a: [2, 30] },
    questions: [
      'A {box} holds {t} {items}. {a} of them are {color} and the rest are {color2}. How many {items} are {color2}?',
    ],
    steps: ['There are [t - a -> b] {color2} {items}.'],
  },
  {
    id: 'third-color',
    numbers: { a: [2, 20], b: [2, 20], t: [10, 60] },
    questions: [
      'A {box} holds {t} {items}. {a} are {color}, {b} are {color2} and the rest are {color3}. How many {items} are {color3}?',
    ],
    steps: [
      'There are [a + b -> s] {color} and {color2} {items}.',
      'There are [t - s -> c] {color3} {items}.',
    ],
  },
  {
    id: 'bus-stop',
    numbers: { a: [8, 40], b: [2, 20], c: [2, 20] },
    questions: [
      'There are {a} people on a bus. At the next stop {b} get off and {c} get on. How many people are on the bus now?',
      'There are {a} people on a train. At the next stop {b} get off and {c} get on. How many people are on the train now?',
    ],
    steps: [
      'When some get off, [a - b -> d] people are left.',
      'When others get on, there are [d + c -> e] people.',
    ],
  },
  {
    id: 'still-needs',
    numbers: { t: [10, 60], a: [2, 50] },
    questions: ['{name} wants {t} {items} and has {a}. How many more {items} does {name} need?'],
    steps: ['{name} needs [t - a -> b] more {items}.'],
  },
];
