import type { Pattern } from './pattern.ts';

/** Prices, change, saving, earning. */
export const money: readonly Pattern[] = [
  {
    id: 'price-of-several',
    numbers: { a: [2, 9], b: [2, 20] },
    questions: [
      '{name} buys {a} {goods} for {b} dollars each. How many dollars does {name} pay?',
      'One {good} costs {b} dollars. {name} buys {a} {goods}. How many dollars does {name} pay?',
    ],
    steps: ['{name} pays [a * b -> c] dollars.'],
  },
  {
    id: 'two-purchases',
    numbers: { a: [2, 9], b: [2, 9], c: [2, 9], d: [2, 9] },
    questions: [
      '{name} buys {a} {goods} for {b} dollars each and {c} {goods2} for {d} dollars each. How many dollars does {name} pay?',
    ],
    steps: [
      'The {goods} cost [a * b -> e] dollars.',
      'The {goods2} cost [c * d -> f] dollars.',
      'In all {name} pays [e + f -> g] dollars.',
    ],
  },
  {
    id: 'money-left',
    numbers: { t: [20, 100], a: [2, 9], b: [2, 9] },
    questions: [
      '{name} has {t} dollars and buys {a} {goods} for {b} dollars each. How many dollars does {name} have left?',
    ],
    steps: ['The {goods} cost [a * b -> c] dollars.', '{name} has [t - c -> d] dollars left.'],
  },
  {
    id: 'saves-each-week',
    numbers: { a: [2, 20], b: [2, 9] },
    questions: ['{name} saves {a} dollars each {week}. How many dollars does {name} save in {b} {weeks}?'],
    steps: ['{name} saves [a * b -> c] dollars.'],
  },
  {
    id: 'weeks-to-save',
    numbers: { a: [2, 9], q: [2, 20] },
    derived: { p: ({ a = 0, q = 0 }) => a * q },
    questions: [
      'A bike costs {p} dollars. {name} saves {a} dollars each {week}. How many {weeks} does {name} need to save?',
    ],
    steps: ['{name} needs [p / a -> r] {weeks}.'],
  },
  {
    id: 'cheaper-each',
    numbers: { a: [4, 20], b: [2, 10], c: [2, 9] },
    questions: [
      'A {good} costs {a} dollars but today it is {b} dollars cheaper. How many dollars do {c} {goods} cost today?',
    ],
    steps: ['Today one {good} costs [a - b -> d] dollars.', 'Together they cost [d * c -> e] dollars.'],
  },
  {
    id: 'earns-and-spends',
    numbers: { a: [2, 9], b: [2, 15], c: [2, 40] },
    questions: [
      '{name} works {a} hours for {b} dollars an hour and then spends {c} dollars. How many dollars does {name} have left?',
    ],
    steps: ['{name} earns [a * b -> d] dollars.', '{name} has [d - c -> e] dollars left.'],
  },
  {
    id: 'split-the-bill',
    numbers: { a: [10, 60], q: [3, 15], d: [2, 6] },
    derived: { b: ({ a = 0, q = 0, d = 0 }) => q * d - a },
    where: ({ a = 0, b = 0 }) => b < a,
    questions: [
      'A meal costs {a} dollars and the drinks cost {b} dollars. {d} friends split the bill equally. How many dollars does each friend pay?',
    ],
    steps: ['The bill is [a + b -> t] dollars.', 'Each friend pays [t / d -> r] dollars.'],
  },
  {
    id: 'profit',
    numbers: { a: [3, 12], b: [2, 9], c: [2, 40] },
    questions: [
      '{name} sells {a} {foods} for {b} dollars each. Making them cost {c} dollars. How many dollars does {name} gain?',
    ],
    steps: ['{name} gets [a * b -> d] dollars.', '{name} gains [d - c -> e] dollars.'],
  },
  {
    id: 'save-the-missing',
    numbers: { a: [5, 40], w: [2, 9], q: [2, 12] },
    derived: { p: ({ a = 0, w = 0, q = 0 }) => a + w * q },
    questions: [
      '{name} has {a} dollars and wants a bike for {p} dollars. How many dollars must {name} save each week to buy it in {w} weeks?',
    ],
    steps: ['{name} needs [p - a -> d] more dollars.', 'Each week {name} must save [d / w -> r] dollars.'],
  },
];
