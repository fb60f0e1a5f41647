import type { Pattern } from './pattern.ts';

/** Baking, building, farms, teams, seats. */
export const making: readonly Pattern[] = [
  {
    id: 'bakes-and-sells',
    numbers: { a: [2, 9], b: [3, 12], c: [2, 40] },
    questions: ['{name} bakes {a} trays of {b} {foods} and sells {c} of them. How many {foods} are left?'],
    steps: ['{name} bakes [a * b -> d] {foods}.', 'There are [d - c -> e] {foods} left.'],
  },
  {
    id: 'machine-packs',
    numbers: { a: [4, 20], b: [2, 6], d: [2, 6] },
    where: ({ a = 0, b = 0, d = 1 }) => (a * b) % d === 0,
    questions: [
      'A machine makes {a} {goods} each hour. How many {boxes} of {d} {goods} does it fill in {b} hours?',
    ],
    steps: ['It makes [a * b -> c] {goods}.', 'It fills [c / d -> e] {boxes}.'],
  },
  {
    id: 'recipe-eggs',
    numbers: { a: [2, 9], b: [2, 9], c: [2, 40] },
    questions: [
      'One {food} needs {a} eggs. {name} wants to bake {b} {foods} and has {c} eggs. How many more eggs does {name} need?',
    ],
    steps: ['The {foods} need [a * b -> d] eggs.', '{name} needs [d - c -> e] more eggs.'],
  },
  {
    id: 'teams',
    numbers: { a: [4, 30], d: [2, 9], q: [2, 9] },
    derived: { b: ({ a = 0, d = 0, q = 0 }) => d * q - a },
    where: ({ b = 0 }) => b <= 30,
    questions: [
      'A class has {a} girls and {b} boys. They form teams of {d} children. How many teams are there?',
    ],
    steps: ['There are [a + b -> t] children.', 'There are [t / d -> r] teams.'],
  },
  {
    id: 'legs-on-a-farm',
    numbers: { a: [2, 15], b: [2, 15] },
    questions: ['A farm has {a} cows and {b} hens. How many legs do the animals have in all?'],
    steps: [
      'The cows have [a * 4 -> c] legs.',
      'The hens have [b * 2 -> d] legs.',
      'In all there are [c + d -> e] legs.',
    ],
  },
  {
    id: 'wheels',
    numbers: { a: [2, 15], b: [2, 15] },
    questions: ['A shop has {a} bikes and {b} cars. How many wheels do they have in all?'],
    steps: [
      'The bikes have [a * 2 -> c] wheels.',
      'The cars have [b * 4 -> d] wheels.',
      'In all there are [c + d -> e] wheels.',
    ],
  },
  {
    id: 'water-tank',
    numbers: { a: [2, 9], q: [3, 20] },
    derived: { t: ({ a = 0, q = 0 }) => a * q },
    questions: [
      'A tank holds {t} liters. {a} liters flow in each minute. How many minutes does it take to fill it?',
    ],
    steps: ['It takes [t / a -> r] minutes.'],
  },
  {
    id: 'seeds',
    numbers: { a: [2, 9], b: [3, 12], c: [2, 20] },
    questions: ['{name} plants {a} rows of {b} seeds. {c} of the seeds do not grow. How many seeds grow?'],
    steps: ['{name} plants [a * b -> d] seeds.', '[d - c -> e] seeds grow.'],
  },
  {
    id: 'free-seats',
    numbers: { a: [2, 9], b: [4, 20], c: [4, 80] },
    questions: ['A train has {a} cars with {b} seats each. {c} seats are taken. How many seats are free?'],
    steps: ['The train has [a * b -> d] seats.', '[d - c -> e] seats are free.'],
  },
  {
    id: 'people-in-school',
    numbers: { a: [2, 9], b: [8, 25], c: [2, 20] },
    questions: [
      'A school has {a} classes with {b} children each and {c} teachers. How many people are in the school?',
    ],
    steps: ['There are [a * b -> d] children.', 'In all there are [d + c -> e] people.'],
  },
];
