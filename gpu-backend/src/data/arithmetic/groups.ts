import type { Pattern } from './pattern.ts';

/** Equal groups: multiplication and exact division. */
export const groups: readonly Pattern[] = [
  {
    id: 'boxes-of',
    numbers: { a: [2, 9], b: [2, 20] },
    questions: [
      '{name} has {a} {boxes} with {b} {items} in each. How many {items} does {name} have?',
      '{name} fills {a} {boxes} with {b} {items} each. How many {items} are there in all?',
    ],
    steps: ['There are [a * b -> c] {items} in the {boxes}.'],
  },
  {
    id: 'boxes-and-loose',
    numbers: { a: [2, 9], b: [2, 12], c: [2, 20] },
    questions: [
      '{name} has {a} {boxes} of {b} {items} and {c} loose {items}. How many {items} does {name} have?',
    ],
    steps: ['There are [a * b -> d] {items} in the {boxes}.', 'In all {name} has [d + c -> e] {items}.'],
  },
  {
    id: 'boxes-then-gives',
    numbers: { a: [2, 9], b: [2, 12], c: [2, 30] },
    questions: [
      '{name} has {a} {boxes} of {b} {items}. {She} gives {c} {items} to {name2}. How many {items} does {name} have left?',
    ],
    steps: ['There are [a * b -> d] {items} in the {boxes}.', '{name} has [d - c -> e] {items} left.'],
  },
  {
    id: 'share-equally',
    numbers: { q: [2, 20], d: [2, 9] },
    derived: { t: ({ q = 0, d = 0 }) => q * d },
    questions: [
      '{name} shares {t} {items} equally among {d} friends. How many {items} does each friend get?',
      '{d} friends share {t} {items} equally. How many {items} does each friend get?',
    ],
    steps: ['Each friend gets [t / d -> r] {items}.'],
  },
  {
    id: 'pack-into-boxes',
    numbers: { q: [2, 20], d: [2, 9] },
    derived: { t: ({ q = 0, d = 0 }) => q * d },
    questions: ['{name} packs {t} {items} into {boxes} of {d}. How many {boxes} does {name} fill?'],
    steps: ['{name} fills [t / d -> r] {boxes}.'],
  },
  {
    id: 'rows-of-plants',
    numbers: { a: [2, 9], b: [2, 20] },
    questions: [
      'A garden has {a} rows of {plants} with {b} {plants} in each row. How many {plants} are in the garden?',
    ],
    steps: ['There are [a * b -> c] {plants} in the garden.'],
  },
  {
    id: 'two-kinds-of-groups',
    numbers: { a: [2, 9], b: [2, 10], c: [2, 9], d: [2, 10] },
    questions: [
      '{name} has {a} {boxes} of {b} {items} and {c} {boxes2} of {d} {items}. How many {items} does {name} have?',
    ],
    steps: [
      'There are [a * b -> e] {items} in the {boxes}.',
      'There are [c * d -> f] {items} in the {boxes2}.',
      'In all {name} has [e + f -> g] {items}.',
    ],
  },
  {
    id: 'share-after-adding',
    numbers: { a: [2, 30], q: [2, 12], d: [2, 9] },
    derived: { b: ({ a = 0, q = 0, d = 0 }) => q * d - a },
    questions: [
      '{name} has {a} {items} and gets {b} more. {She} shares them equally among {d} friends. How many {items} does each friend get?',
    ],
    steps: ['In all {name} has [a + b -> t] {items}.', 'Each friend gets [t / d -> r] {items}.'],
  },
  {
    id: 'share-after-losing',
    numbers: { b: [2, 15], q: [2, 12], d: [2, 9] },
    derived: { a: ({ b = 0, q = 0, d = 0 }) => q * d + b },
    questions: [
      '{name} has {a} {items} and keeps {b}. {She} shares the rest equally among {d} friends. How many {items} does each friend get?',
    ],
    steps: ['There are [a - b -> t] {items} to share.', 'Each friend gets [t / d -> r] {items}.'],
  },
  {
    id: 'tables-and-chairs',
    numbers: { a: [2, 9], b: [2, 10], c: [2, 20] },
    questions: [
      'A room has {a} tables with {b} chairs each and {c} more chairs by the wall. How many chairs are in the room?',
    ],
    steps: ['There are [a * b -> d] chairs at the tables.', 'In all there are [d + c -> e] chairs.'],
  },
];
