import type { Pattern } from './pattern.ts';

/**
 * Never trained, as new-templates.ts, and further away: no trained template and no scene of the stories tells of eggs
 * laid, stairs, points, candles that burn down, slices, playlists, strings, batteries, temperatures, garages, quilts,
 * catches, heights, loads or choirs, and no sentence of theirs is worded as a trained one. The operations in their
 * order are trained in other scenes, so what they ask is whether the skill carries over to a new story.
 */
export const unseenTemplates: readonly Pattern[] = [
  {
    id: 'unseen-eggs',
    numbers: { a: [2, 9], b: [3, 9], c: [2, 30] },
    questions: [
      "{name}'s {a} hens lay {b} eggs each per week. {She} fries {c} of the eggs. How many eggs are not fried?",
    ],
    steps: ['The hens lay [a * b -> d] eggs.', 'There are [d - c -> e] eggs left.'],
  },
  {
    id: 'unseen-stairs',
    numbers: { a: [2, 9], b: [8, 20], c: [2, 60] },
    questions: [
      'A tower has {a} floors and {b} stairs per floor. {name} has climbed {c} stairs. How many stairs are still above {him}?',
    ],
    steps: ['The tower has [a * b -> d] stairs.', 'There are [d - c -> e] stairs left.'],
  },
  {
    id: 'unseen-points',
    numbers: { a: [2, 40], b: [2, 40], c: [2, 30] },
    questions: [
      '{name} scored {a} points in the first half and {b} in the second half. {name2} scored {c} points fewer than {name}. How many points did {name2} score?',
    ],
    steps: ['{name} scored [a + b -> d] points.', '{name2} scored [d - c -> e] points.'],
  },
  {
    id: 'unseen-candle',
    numbers: { t: [30, 99], a: [2, 9], b: [2, 9] },
    questions: [
      'A candle is {t} centimeters tall and burns down by {a} centimeters per hour. How many centimeters tall is it after {b} hours?',
    ],
    steps: ['It burns down by [a * b -> c] centimeters.', 'The candle is [t - c -> d] centimeters tall.'],
  },
  {
    id: 'unseen-slices',
    numbers: { a: [2, 9], b: [4, 12], d: [2, 9] },
    where: ({ a = 0, b = 0, d = 1 }) => (a * b) % d === 0,
    questions: [
      '{name} cuts {a} pizzas into {b} slices each. {d} hungry friends eat the slices in equal parts. How many slices does each friend eat?',
    ],
    steps: ['There are [a * b -> c] slices.', 'Each friend eats [c / d -> r] slices.'],
  },
  {
    id: 'unseen-songs',
    numbers: { a: [2, 40], b: [2, 40], c: [2, 30] },
    questions: [
      "{name}'s playlist has {a} rock songs and {b} jazz songs. {She} deletes {c} songs. How many songs stay on the playlist?",
    ],
    steps: ['The playlist has [a + b -> d] songs.', 'There are [d - c -> e] songs left.'],
  },
  {
    id: 'unseen-rope',
    numbers: { q: [2, 30], d: [2, 9] },
    derived: { t: ({ q = 0, d = 0 }) => q * d },
    questions: [
      'A string is {t} inches long. {name} cuts it into {d} equal parts. How many inches long is each part?',
    ],
    steps: ['Each part is [t / d -> r] inches long.'],
  },
  {
    id: 'unseen-battery',
    numbers: { t: [60, 100], a: [2, 9], b: [2, 9] },
    questions: [
      'A battery is charged to {t} percent and drops by {a} percent per hour. What percentage does it show after {b} hours?',
    ],
    steps: ['It drops by [a * b -> c] percent.', 'It shows [t - c -> d] percent.'],
  },
  {
    id: 'unseen-degrees',
    numbers: { a: [5, 40], b: [2, 20], c: [2, 30] },
    questions: [
      'At dawn it was {a} degrees. By noon it was {b} degrees warmer. At night it was {c} degrees colder than at noon. How many degrees was it at night?',
    ],
    steps: ['At noon it was [a + b -> d] degrees.', 'At night it was [d - c -> e] degrees.'],
  },
  {
    id: 'unseen-parking',
    numbers: { a: [2, 9], b: [6, 20], c: [2, 80] },
    questions: [
      'A parking garage has {a} levels with space for {b} cars per level. {c} cars are parked in it. How many spaces are empty?',
    ],
    steps: ['The garage has [a * b -> d] spaces.', 'There are [d - c -> e] empty spaces.'],
  },
  {
    id: 'unseen-quilt',
    numbers: { a: [3, 12], b: [3, 12], c: [2, 60] },
    questions: [
      'A quilt has {b} rows of {a} patches. {name} has sewn {c} patches so far. How many patches must {she} still sew?',
    ],
    steps: ['The quilt has [b * a -> d] patches.', '{name} must sew [d - c -> e] more patches.'],
  },
  {
    id: 'unseen-fish',
    numbers: { a: [2, 15], b: [2, 6], c: [2, 20] },
    questions: [
      '{name} caught {a} fish and {name2} caught {b} times as many. They threw {c} fish back into the lake. How many fish did they keep?',
    ],
    steps: [
      '{name2} caught [b * a -> d] fish.',
      'Together they caught [a + d -> e] fish.',
      'They kept [e - c -> f] fish.',
    ],
  },
  {
    id: 'unseen-heights',
    numbers: { a: [40, 70], b: [2, 12], c: [2, 12] },
    questions: [
      '{name} is {a} inches tall. {name2} is {b} inches taller than {name}, and {name3} is {c} inches shorter than {name2}. How many inches tall is {name3}?',
    ],
    steps: ['{name2} is [a + b -> d] inches tall.', '{name3} is [d - c -> e] inches tall.'],
  },
  {
    id: 'unseen-truck',
    numbers: { a: [2, 9], b: [5, 20], c: [10, 90] },
    questions: [
      'A truck carries {a} stones of {b} pounds and a machine of {c} pounds. How many pounds does the truck carry?',
    ],
    steps: ['The stones weigh [a * b -> d] pounds.', 'In all it is [d + c -> e] pounds.'],
  },
  {
    id: 'unseen-lines',
    numbers: { a: [3, 30], q: [3, 12], d: [2, 9] },
    derived: { b: ({ a = 0, q = 0, d = 0 }) => q * d - a },
    questions: [
      'A choir of {a} women and {b} men lines up with {d} of them per line. How many lines does the choir make?',
    ],
    steps: ['The choir has [a + b -> t] people.', 'It makes [t / d -> r] lines.'],
  },
];
