import type { Pattern } from './pattern.ts';

const percents = [10, 20, 25, 50] as const;

/** Halves, doubles, parts and easy percentages. */
export const fractions: readonly Pattern[] = [
  {
    id: 'gives-half',
    numbers: { h: [2, 40] },
    derived: { t: ({ h = 0 }) => 2 * h },
    questions: [
      '{name} has {t} {items} and gives half of them to {name2}. How many {items} does {name2} get?',
    ],
    steps: ['{name2} gets [t / 2 -> r] {items}.'],
  },
  {
    id: 'half-then-more',
    numbers: { h: [2, 30], b: [2, 20] },
    derived: { t: ({ h = 0 }) => 2 * h },
    questions: [
      '{name} has {t} {items}. {She} gives away half of them and then buys {b} more. How many {items} does {name} have now?',
    ],
    steps: [
      'After giving away half, {name} has [t / 2 -> r] {items}.',
      'Now {name} has [r + b -> s] {items}.',
    ],
  },
  {
    id: 'double-next-day',
    numbers: { a: [2, 30] },
    questions: [
      '{name} picks {a} {fruits} on Monday and twice as many on Tuesday. How many {fruits} does {name} pick in all?',
    ],
    steps: ['On Tuesday {name} picks [2 * a -> b] {fruits}.', 'In all {name} picks [a + b -> c] {fruits}.'],
  },
  {
    id: 'part-of',
    numbers: { d: [3, 4, 5, 10], q: [2, 20] },
    derived: { t: ({ d = 0, q = 0 }) => d * q },
    questions: ['A {box} holds {t} {items}. A {d:part} of them are {color}. How many {items} are {color}?'],
    steps: ['There are [t / d -> r] {color} {items}.'],
  },
  {
    id: 'part-left',
    numbers: { d: [3, 4, 5, 10], q: [2, 15] },
    derived: { t: ({ d = 0, q = 0 }) => d * q },
    questions: [
      '{name} has {t} {items} and gives away a {d:part} of them. How many {items} does {name} have left?',
    ],
    steps: ['{name} gives away [t / d -> r] {items}.', '{name} has [t - r -> s] {items} left.'],
  },
  {
    id: 'percent-of',
    numbers: { p: percents, q: [2, 20] },
    derived: { d: ({ p = 1 }) => 100 / p, t: ({ p = 1, q = 0 }) => (100 / p) * q },
    questions: [
      'There are {t} {animals} on a farm and {p}% of them are {coat}. How many {animals} are {coat}?',
    ],
    steps: ['{p}% of {t} is [t / d -> r] {animals}.'],
  },
  {
    id: 'percent-rest',
    numbers: { p: percents, q: [2, 15] },
    derived: { d: ({ p = 1 }) => 100 / p, t: ({ p = 1, q = 0 }) => (100 / p) * q },
    questions: ['There are {t} {animals} on a farm. {p}% of them are sold. How many {animals} are left?'],
    steps: ['{p}% of {t} is [t / d -> r] {animals}.', 'There are [t - r -> s] {animals} left.'],
  },
  {
    id: 'percent-off',
    numbers: { p: percents, q: [2, 12] },
    derived: { d: ({ p = 1 }) => 100 / p, t: ({ p = 1, q = 0 }) => (100 / p) * q },
    questions: [
      'A {good} costs {t} dollars. Today it is {p}% off. How many dollars does the {good} cost today?',
    ],
    steps: ['{p}% of {t} is [t / d -> r] dollars.', 'Today the {good} costs [t - r -> s] dollars.'],
  },
  {
    id: 'more-than-twice',
    numbers: { a: [2, 20], b: [2, 20] },
    questions: [
      '{name} has {a} {items}. {name2} has {b} more than twice as many. How many {items} does {name2} have?',
    ],
    steps: ['Twice as many is [2 * a -> c] {items}.', '{name2} has [c + b -> d] {items}.'],
  },
  {
    id: 'half-and-eats',
    numbers: { h: [4, 30], b: [2, 20] },
    derived: { t: ({ h = 0 }) => 2 * h },
    questions: [
      '{name} bakes {t} {foods}. {She} sells half of them and eats {b}. How many {foods} are left?',
    ],
    steps: ['After selling half, [t / 2 -> r] {foods} are left.', 'Now [r - b -> s] {foods} are left.'],
  },
];
