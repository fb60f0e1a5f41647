import { end, move } from './frame.ts';
import type { End, Frame, Move } from './frame.ts';

/** Something measured that somebody does: reading, walking, working. `{u}` is the unit. */
interface Activity {
  id: string;
  things: readonly string[];
  /** Verb in the third person and the plain form, as in "reads", "read". */
  does: string;
  plain: string;
  /** How much there is in all: "A book has {1} pages". */
  totals: readonly string[];
  extras: readonly string[];
  gains: readonly string[];
}

const activities: readonly Activity[] = [
  {
    id: 'reading',
    things: ['pages'],
    does: 'reads',
    plain: 'read',
    totals: ['The book has {1} pages', 'In all there are {1} pages in the book'],
    extras: ['in a book', 'of a novel', ''],
    gains: [
      'reads {1} more pages',
      'reads {1} pages before going to bed',
      'reads another {1} pages on the {ride}',
    ],
  },
  {
    id: 'walking',
    things: ['miles', 'kilometers', 'miles'],
    does: 'walks',
    plain: 'walk',
    totals: ['The whole way is {1} {u} long', 'The trail has {1} {u}'],
    extras: ['on a trail', 'along a river', ''],
    gains: ['walks {1} {u} more', 'goes another {1} {u}', 'walks {1} {u} home'],
  },
  {
    id: 'driving',
    things: ['miles', 'kilometers'],
    does: 'drives',
    plain: 'drive',
    totals: ['The whole trip is {1} {u} long', 'The town is {1} {u} away'],
    extras: ['to a town', 'on a trip', ''],
    gains: ['drives {1} {u} more', 'drives another {1} {u} to the {place}'],
  },
  {
    id: 'cycling',
    things: ['miles', 'kilometers'],
    does: 'rides',
    plain: 'ride',
    totals: ['The tour is {1} {u} long', 'The way to the {place} is {1} {u}'],
    extras: ['on {her} bike', 'by bike', ''],
    gains: ['rides {1} {u} more', 'rides another {1} {u}'],
  },
  {
    id: 'practicing',
    things: ['minutes', 'hours', 'minutes'],
    does: 'practices',
    plain: 'practice',
    totals: ['{She} plans to practice {1} {u}', 'The goal is {1} {u}'],
    extras: ['the piano', 'with the team', 'at the {place}'],
    gains: ['practices {1} {u} more', 'practices another {1} {u} with {N2}'],
  },
  {
    id: 'baking',
    things: ['{foods}'],
    does: 'bakes',
    plain: 'bake',
    totals: ['{She} needs {1} {u}', 'The {place} ordered {1} {u}'],
    extras: ['for a party', 'for {her} {relatives}', ''],
    gains: ['bakes {1} more', 'makes {1} more {u}', 'adds {1} {u} from the day before'],
  },
  {
    id: 'making',
    things: ['{goods}', '{toys}', '{tools}'],
    does: 'makes',
    plain: 'make',
    totals: ['{She} has to make {1} {u}', 'The shop ordered {1} {u}'],
    extras: ['for a shop', 'for the {place}', ''],
    gains: ['makes {1} more', 'makes another {1} {u}', 'makes {1} {u} with {N2}'],
  },
  {
    id: 'picking',
    things: ['{fruits}', '{plants}'],
    does: 'picks',
    plain: 'pick',
    totals: ['{She} wants to pick {1} {u}', 'There are {1} {u} in the garden'],
    extras: ['in the garden', 'on a farm', ''],
    gains: ['picks {1} more', 'picks {1} more {u} with {N2}'],
  },
  {
    id: 'solving',
    things: ['problems', 'questions', 'puzzles'],
    does: 'solves',
    plain: 'solve',
    totals: ['There are {1} {u} in all', 'The book has {1} {u}'],
    extras: ['for school', 'in a test', ''],
    gains: ['solves {1} more', 'solves {1} more {u} at home'],
  },
  {
    id: 'writing',
    things: ['letters', 'words', 'emails', 'lines', 'notes'],
    does: 'writes',
    plain: 'write',
    totals: ['{She} has to write {1} {u}', 'The goal is {1} {u}'],
    extras: ['at work', 'for school', ''],
    gains: ['writes {1} more', 'writes {1} {u} in the evening'],
  },
  {
    id: 'drinking',
    things: ['cups of tea', 'glasses of water', 'liters of water', 'bottles of juice'],
    does: 'drinks',
    plain: 'drink',
    totals: ['There are {1} {u} in all', '{She} wants to drink {1} {u}'],
    extras: ['at home', 'at work', ''],
    gains: ['drinks {1} more', 'drinks another {1} {u}'],
  },
  {
    id: 'planting',
    things: ['{plants}', 'trees'],
    does: 'plants',
    plain: 'plant',
    totals: ['{She} wants to plant {1} {u}', 'There is room for {1} {u}'],
    extras: ['in the garden', 'in the park', ''],
    gains: ['plants {1} more', 'plants {1} more {u} with {N2}'],
  },
];

function starts({ does, extras }: Activity): Move[] {
  const told = (text: string): string[] =>
    extras.map((extra) => text.replace('{x}', extra).replace(/ +/g, ' ').trim());
  return [
    move([], ...told(`{N} ${does} {1} {u} {x}`), ...told(`{N} ${does} {1} {u} on {day2} {x}`)),
    move(
      [`{N} ${does} [1 * 2] {u}.`],
      ...told(`{N} ${does} {1} {u} {x} each day for {2} days`),
      `{N} ${does} {1} {u} an hour for {2} hours`,
      `{N} works {2} hours and ${does} {1} {u} per hour`,
      `In one {period} {N} ${does} {1} {u}. It goes on like this for {2} {periods}`,
      `{N} ${does} {1} {u} per {period} for {2} {periods}`,
      `Each {period} {N} ${does} {1} {u}. {She} does so for {2} {periods}`,
      `{N} ${does} {1} {u} every {period} for {2} {periods}`,
      `On each of {2} days {N} ${does} {1} {u}`,
    ),
    move(
      [`In all {N} ${does} [1 + 2] {u}.`],
      `{N} ${does} {1} {u} on {day2} and {2} {u} on {day3}`,
      `{N} ${does} {1} {u} in the morning and {2} in the afternoon`,
      `{N} first ${does} {1} {u} and then {2} {u}`,
    ),
    move(
      [`{N} ${does} [1 + 2] {u}.`],
      `{N2} ${does} {1} {u}. {N} ${does} {2} {u} more than {N2}`,
      `{N2} ${does} {1} {u} and {N} {2} more than that`,
    ),
    move([`{N} ${does} [2 * 1] {u}.`], `{N2} ${does} {1} {u}. {N} ${does} {2:times} as many`),
    move(
      [`On {day3} {N} ${does} [1 + 2] {u}.`, `In all {N} ${does} [1 + r] {u}.`],
      `{N} ${does} {1} {u} on {day2}. On {day3} {she} ${does} {2} {u} more than on {day2}`,
    ),
    move(
      [`On {day3} {N} ${does} [2 * 1] {u}.`, `In all {N} ${does} [1 + r] {u}.`],
      `{N} ${does} {1} {u} on {day2} and {2:times} as many on {day3}`,
    ),
  ];
}

function ends({ does, plain, totals }: Activity): End[] {
  return [
    end(
      ['There are [1 - v] {u} left.'],
      totals,
      'How many {u} are left?',
      `How many more {u} must {N} ${plain}?`,
      'How many {u} remain?',
    ),
    end(
      [`{N2} ${does} [v + 1] {u}.`, `Together they ${plain} [o + r] {u}.`],
      [`{N2} ${does} {1} {u} more than {N}`, `{N2} ${does} {1} more`],
      `How many {u} do they ${plain} together?`,
      `How many {u} do {N} and {N2} ${plain} in all?`,
    ),
    end(
      [`{N2} ${does} [v - 1] {u}.`],
      [`{N2} ${does} {1} {u} fewer than {N}`],
      `How many {u} does {N2} ${plain}?`,
    ),
    end(
      [`{N2} ${does} [1 * v] {u}.`],
      [`{N2} ${does} {1:times} as many {u}`, `{N2} ${does} {1:times} as many as {N}`],
      `How many {u} does {N2} ${plain}?`,
    ),
    end(
      [`Together they ${plain} [v + 1] {u}.`],
      [`{N2} ${does} {1} {u}`, `{N2} ${does} {1}`],
      `How many {u} do they ${plain} together?`,
      `How many {u} do the two ${plain} in all?`,
    ),
    end(
      [`In a day it is [v / 1] {u}.`],
      [
        'This takes {1} days, with the same number each day',
        '{She} needs {1} days for it, always the same each day',
      ],
      `How many {u} does {N} ${plain} each day?`,
      `How many {u} is that a day?`,
    ),
    end(
      [`In {1} weeks it is [v * 1] {u}.`],
      ['{She} does the same every week for {1} weeks'],
      `How many {u} does {N} ${plain} in all that time?`,
      'How many {u} is that in all?',
    ),
  ];
}

function activityFrame(activity: Activity): Frame {
  const { id, things, does, plain, gains } = activity;
  const asks = [
    `How many {u} does {N} ${plain} in all?`,
    `How many {u} does {N} ${plain}?`,
    `How many {u} does {she} ${plain} altogether?`,
    'How many {u} is that in total?',
  ];
  return {
    id,
    things,
    isPersonal: true,
    starts: starts(activity),
    gains: [move([`In all {N} ${does} [v + 1] {u}.`], ...gains)],
    losses: [],
    ends: ends(activity),
    asks,
    asksLeft: asks,
  };
}

/** Ages. */
const ages: Frame = {
  id: 'ages',
  steps: [1, 1],
  things: ['years'],
  isPersonal: false,
  starts: [move([], '{N} is {1} years old', 'The age of {N} is {1} years', '{N} is now {1} years old')],
  gains: [
    move(['{N2} is [v + 1] years old.'], '{N2} is {1} years older', '{N2} is {1} years older than {N}'),
  ],
  losses: [
    move(['{N2} is [v - 1] years old.'], '{N2} is {1} years younger', '{N2} is {1} years younger than {N}'),
  ],
  ends: [],
  asks: ['How old is {N2}?', 'What is the age of {N2}?', 'How many years old is {N2}?'],
  asksLeft: ['How old is {N2}?', 'What is the age of {N2}?', 'How many years old is {N2}?'],
};

/** Ages of a second person, and what they are later. */
const laterAges: Frame = {
  ...ages,
  id: 'later-ages',
  steps: [2, 2],
  starts: [
    move(
      ['{N2} is [1 + 2] years old.'],
      '{N} is {1} years old. {N2} is {2} years older',
      '{N} is {1} years old and {N2} is {2} years older than {N}',
    ),
    move(
      ['{N2} is [1 - 2] years old.'],
      '{N} is {1} years old. {N2} is {2} years younger',
      '{N} is {1} years old and {N2} is {2} years younger',
    ),
    move(
      ['{N2} is [2 * 1] years old.'],
      '{N} is {1} years old. {N2} is {2:times} as old',
      '{N} is {1} years old and {N2} is {2:times} as old as {N}',
    ),
    move(['{N2} is [1 / 2] years old.'], '{N} is {1} years old. {N2} is {2:part} as old'),
  ],
  gains: [move(['{N3} is [v + 1] years old.'], '{N3} is {1} years older than {N2}')],
  losses: [move(['{N3} is [v - 1] years old.'], '{N3} is {1} years younger than {N2}')],
  ends: [
    end(['In {1} years {N2} will be [v + 1] years old.'], [''], 'How old will {N2} be in {1} years?'),
    end(['{1} years ago {N2} was [v - 1] years old.'], [''], 'How old was {N2} {1} years ago?'),
  ],
  asks: ['How old is {N3}?', 'What is the age of {N3}?'],
  asksLeft: ['How old is {N3}?', 'What is the age of {N3}?'],
};

export const measureFrames: readonly Frame[] = [...activities.map(activityFrame), ages, laterAges];
