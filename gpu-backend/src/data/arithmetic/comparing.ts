import type { Pattern } from './pattern.ts';

/** More than, fewer than, times as many. */
export const comparing: readonly Pattern[] = [
  {
    id: 'more-than',
    numbers: { a: [2, 40], b: [2, 30] },
    questions: [
      '{name} has {a} {items}. {name2} has {b} more than {name}. How many {items} does {name2} have?',
    ],
    steps: ['{name2} has [a + b -> c] {items}.'],
  },
  {
    id: 'more-than-together',
    numbers: { a: [2, 30], b: [2, 20] },
    questions: [
      '{name} has {a} {items}. {name2} has {b} more than {name}. How many {items} do they have together?',
    ],
    steps: ['{name2} has [a + b -> c] {items}.', 'Together they have [a + c -> d] {items}.'],
  },
  {
    id: 'fewer-than',
    numbers: { a: [8, 60], b: [2, 30] },
    questions: [
      '{name} has {a} {items}. {name2} has {b} fewer than {name}. How many {items} does {name2} have?',
    ],
    steps: ['{name2} has [a - b -> c] {items}.'],
  },
  {
    id: 'fewer-than-together',
    numbers: { a: [8, 40], b: [2, 20] },
    questions: [
      '{name} has {a} {items}. {name2} has {b} fewer than {name}. How many {items} do they have together?',
    ],
    steps: ['{name2} has [a - b -> c] {items}.', 'Together they have [a + c -> d] {items}.'],
  },
  {
    id: 'times-as-many',
    numbers: { a: [2, 25], b: [2, 9] },
    questions: [
      '{name} has {a} {items}. {name2} has {b} times as many as {name}. How many {items} does {name2} have?',
    ],
    steps: ['{name2} has [b * a -> c] {items}.'],
  },
  {
    id: 'times-together',
    numbers: { a: [2, 15], b: [2, 9] },
    questions: [
      '{name} has {a} {items}. {name2} has {b} times as many as {name}. How many {items} do they have together?',
    ],
    steps: ['{name2} has [b * a -> c] {items}.', 'Together they have [a + c -> d] {items}.'],
  },
  {
    id: 'how-many-more',
    numbers: { a: [8, 60], b: [2, 50] },
    questions: [
      '{name} has {a} {items} and {name2} has {b} {items}. How many more {items} does {name} have than {name2}?',
    ],
    steps: ['{name} has [a - b -> c] more {items} than {name2}.'],
  },
  {
    id: 'three-people',
    numbers: { a: [2, 30], b: [2, 20], c: [2, 20] },
    questions: [
      '{name} has {a} {items}. {name2} has {b} more than {name}. {name3} has {c} fewer than {name2}. How many {items} does {name3} have?',
    ],
    steps: ['{name2} has [a + b -> d] {items}.', '{name3} has [d - c -> e] {items}.'],
  },
  {
    id: 'groups-difference',
    numbers: { a: [2, 9], b: [3, 10], c: [2, 9], d: [2, 10] },
    questions: [
      '{name} has {a} {boxes} of {b} {items} and {name2} has {c} {boxes} of {d} {items}. How many more {items} does {name} have than {name2}?',
    ],
    steps: [
      '{name} has [a * b -> e] {items}.',
      '{name2} has [c * d -> f] {items}.',
      '{name} has [e - f -> g] more {items} than {name2}.',
    ],
  },
];
