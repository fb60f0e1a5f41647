import { end, move } from './frame.ts';
import type { Frame, Move } from './frame.ts';

const gets = '{N} has [v + 1] {u}.';
const loses = '{N} has [v - 1] {u} left.';
const inGroups = 'There are [1 * 2] {u} in the {boxes}.';

const losePart = (verb: string, ...told: string[]): Move =>
  move([`{N} ${verb} [v / 1] {u}.`, '{N} has [o - r] {u} left.'], ...told);

/** Somebody's things: had, found, bought, given, sold, packed, shared, compared. */
const owning: Omit<Frame, 'id' | 'things'> = {
  isPersonal: true,
  starts: [
    move(
      [],
      '{N} has {1} {u}',
      '{N} owns {1} {u}',
      '{N} starts with {1} {u}',
      '{N} keeps {1} {u} in a {box}',
      'There are {1} {u} in the {box} of {N}',
      '{N} counts {1} {u}',
      '{N} buys {1} {u}',
      '{N} collects {1} {u}',
      '{N} brings {1} {u} to the {place}',
      '{N} has a collection of {1} {u}',
    ),
    move(
      [],
      '{N} has {1} {size} {u}',
      '{N} gets {1} {u} from {N3}',
      '{N} finds {1} {u} at the {place}',
      "{N}'s {box} holds {1} {u}",
    ),
    move(
      [inGroups],
      '{N} has {1} {boxes} with {2} {u} in each',
      '{N} has {1} {boxes} of {2} {u}',
      '{N} buys {1} {boxes} of {2} {u} each',
      '{N} has {1} {boxes} and each of them holds {2} {u}',
      '{N} fills {1} {boxes} with {2} {u} each',
      'There are {2} {u} in each of the {1} {boxes} of {N}',
      '{N} has {1} {boxes}. Each {box} has {2} {u} in it',
      '{N} keeps {2} {u} in every {box} and has {1} {boxes}',
    ),
    move(
      ['There are [1 * 2] {u} on the {shelves}.'],
      '{N} has {1} {shelves} with {2} {u} on each',
      '{N} puts {2} {u} on each of {1} {shelves}',
      'There are {1} {shelves} with {2} {u} on each in the room of {N}',
    ),
    move(
      ['In all {N} has [1 + 2] {u}.'],
      '{N} has {1} {color} {u} and {2} {color2} {u}',
      '{N} has {1} {size} {u} and {2} {size2} {u}',
      '{N} buys {1} {u} on {day2} and {2} on {day3}',
      '{N} gets {1} {u} from {N3} and {2} from {N4}',
      '{N} has {1} {u} in one {box} and {2} in another',
      '{N} finds {1} {u} at the {place} and {2} at home',
    ),
    move(
      ['{N} has [1 + 2] {u}.'],
      '{N2} has {1} {u}. {N} has {2} more than {N2}',
      '{N2} has {1} {u} and {N} has {2} more {u} than {N2}',
    ),
    move(['{N} has [1 - 2] {u}.'], '{N2} has {1} {u}. {N} has {2} fewer than {N2}'),
    move(
      ['{N} has [2 * 1] {u}.'],
      '{N2} has {1} {u}. {N} has {2} times as many',
      '{N2} has {1} {u} and {N} has {2} times as many as {N2}',
    ),
    move(
      ['There are [1 * 2] {u} in the {boxes}.', 'In all {N} has [r + 3] {u}.'],
      '{N} has {1} {boxes} of {2} {u} and {3} loose {u}',
      '{N} has {1} {boxes} with {2} {u} each and {3} more {u} on a {shelf}',
      '{N} has {3} {u} and also {1} {boxes} of {2} {u} each',
    ),
    move(
      [inGroups, 'There are [3 * 4] {u} in the {boxes2}.', 'In all {N} has [q + r] {u}.'],
      '{N} has {1} {boxes} of {2} {u} and {3} {boxes2} of {4} {u}',
      '{N} buys {1} {boxes} with {2} {u} each and {3} {boxes2} with {4} {u} each',
    ),
  ],
  gains: [
    move(
      [gets],
      'finds {1} more',
      'finds {1} more {u}',
      'buys {1} more',
      'buys {1} {u}',
      'gets {1} more {u}',
      'gets {1} more from {N2}',
      'receives {1} {u} as a present',
      'gets {1} {u} from {her} {relative}',
      'wins {1} {u} in a game',
      'adds {1} more to them',
      'picks up {1} more {u} at the {place}',
      'borrows {1} {u} from {N2}',
      'is given {1} {u} by {N2}',
      'collects {1} more {u}',
      'takes {1} more {u} out of a {box}',
    ),
    move(
      ['The new {boxes} hold [1 * 2] {u}.', '{N} has [o + r] {u}.'],
      'buys {1} more {boxes} of {2} {u}',
      'gets {1} {boxes} with {2} {u} in each',
      'finds {1} {boxes} with {2} {u} each',
    ),
  ],
  losses: [
    move(
      [loses],
      'loses {1}',
      'loses {1} of them',
      'gives {1} to {N2}',
      'gives {1} of them to {N2}',
      'gives away {1} {u}',
      'sells {1} of the {u}',
      'sells {1} {u} to {N2}',
      'breaks {1} of them',
      'throws away {1} old {u}',
      'hands {1} {u} to {her} {relative}',
      'leaves {1} {u} at the {place}',
      'lends {1} {u} to {N2}',
      'uses {1} of the {u}',
      'donates {1} {u} to the {place}',
      'trades away {1} {u}',
      'returns {1} {u} to {N2}',
    ),
    losePart(
      'gives away',
      'gives {1:part} of them to {N2}',
      'gives away {1:part} of the {u}',
      'gives {N2} {1:part} of the {u}',
    ),
    losePart('loses', 'loses {1:part} of them', 'loses {1:part} of the {u}'),
    losePart('sells', 'sells {1:part} of the {u}', 'sells {1:part} of them at the {place}'),
    move(
      ['{N} gives away [1 * 2] {u}.', '{N} has [o - r] {u} left.'],
      'gives {2} {u} to each of {1} {relatives}',
      'gives {1} {relatives} {2} {u} each',
    ),
  ],
  ends: [
    end(
      ['Each {relative} gets [v / 1] {u}.'],
      [
        '{N} shares them equally among {1} {relatives}',
        '{She} divides them equally among {1} {relatives}',
        '{She} gives them all to {1} {relatives}, the same number to each',
        '{She} splits them evenly between {1} {relatives}',
        'Then {1} {relatives} share the {u} equally',
      ],
      'How many {u} does each {relative} get?',
      'How many does each of the {relatives} get?',
      'How many {u} are there for each {relative}?',
    ),
    end(
      ['Each {box} holds [v / 1] {u}.'],
      [
        '{She} puts them into {1} {boxes} equally',
        '{N} puts the same number of {u} into each of {1} {boxes}',
        '{N} spreads them evenly over {1} {boxes}',
      ],
      'How many {u} are in each {box}?',
      'How many {u} does each {box} hold?',
      'How many does {N} put into each {box}?',
    ),
    end(
      ['{N} fills [v / 1] {boxes}.'],
      [
        '{She} packs them into {boxes} of {1}',
        '{N} puts {1} {u} into each {box}',
        '{N} packs the {u} into {boxes} that hold {1} each',
      ],
      'How many {boxes} does {N} fill?',
      'How many {boxes} does {N} need?',
      'How many {boxes} are there?',
    ),
    end(
      ['{N} needs [1 - v] more {u}.'],
      ['{She} wants to have {1} {u}', '{N} needs {1} {u} in all', '{She} would like to have {1}'],
      'How many more {u} does {N} need?',
      'How many {u} are still missing?',
    ),
    end(
      ['{N2} has [v + 1] {u}.'],
      ['{N2} has {1} more {u} than {N}', '{N2} has {1} more than {N}'],
      'How many {u} does {N2} have?',
    ),
    end(
      ['{N2} has [v - 1] {u}.'],
      ['{N2} has {1} fewer {u} than {N}', '{N2} has {1} fewer than {N}', '{N} has {1} more than {N2}'],
      'How many {u} does {N2} have?',
    ),
    end(
      ['{N2} has [v + 1] {u}.', 'Together they have [o + r] {u}.'],
      ['{N2} has {1} more {u} than {N}', '{N2} has {1} more than {N}'],
      'How many {u} do they have together?',
      'How many {u} do {N} and {N2} have in all?',
    ),
    end(
      ['{N2} has [v - 1] {u}.', 'Together they have [o + r] {u}.'],
      ['{N2} has {1} fewer {u} than {N}', '{N2} has {1} fewer than {N}'],
      'How many {u} do they have together?',
    ),
    end(
      ['{N2} has [1 * v] {u}.'],
      ['{N2} has {1} times as many {u} as {N}', '{N2} has {1} times as many'],
      'How many {u} does {N2} have?',
    ),
    end(
      ['{N2} has [1 * v] {u}.', 'Together they have [o + r] {u}.'],
      ['{N2} has {1} times as many {u} as {N}'],
      'How many {u} do they have together?',
      'How many {u} do the two have in all?',
    ),
    end(
      ['Together they have [v + 1] {u}.'],
      ['{N2} has {1} {u}', '{N2} has {1}'],
      'How many {u} do they have together?',
      'How many {u} do {N} and {N2} have altogether?',
      'What is the total number of {u} that they have?',
    ),
    end(
      ['{N} has [v - 1] more {u} than {N2}.'],
      ['{N2} has {1} {u}', '{N2} only has {1}'],
      'How many more {u} does {N} have than {N2}?',
      'How many fewer {u} does {N2} have than {N}?',
    ),
    end(
      ['{N} gets [v * 1] dollars.'],
      [
        '{She} sells all of them for {1} dollars each',
        '{N} sells each of them for {1} dollars',
        'Each of them is worth {1} dollars',
      ],
      'How many dollars does {N} get?',
      'How many dollars does {N} get for them?',
      'How much money does {N} get for all of them?',
    ),
  ],
  asks: [
    'How many {u} does {N} have now?',
    'How many {u} does {N} have?',
    'How many {u} does {N} have in all?',
    'How many {u} are there in total?',
    'How many {u} does {she} have in the end?',
    'What is the number of {u} that {N} has now?',
    'Find the number of {u} that {N} has.',
    'How many {u} does {N} have altogether?',
  ],
  asksLeft: [
    'How many {u} does {N} have left?',
    'How many {u} are left?',
    'How many {u} does {she} still have?',
    'How many {u} remain?',
    'How many {u} does {N} have now?',
    'How many of the {u} does {N} have left?',
    'How many {u} does {N} have in the end?',
    'Find how many {u} {N} has left.',
  ],
};

/** What was there before is asked. */
const before: Frame = {
  ...owning,
  id: 'before',
  weight: 1,
  steps: [1, 2],
  things: ['{toys}', '{tools}', '{fruits}', '{foods}', 'dollars'],
  starts: [
    move(
      ['At first {N} had [2 + 1] {u}.'],
      '{N} gives away {1} {u} and has {2} left',
      '{N} sells {1} {u} and then has {2} {u}',
      'After {N} loses {1} {u}, {she} has {2} left',
      '{N} gives {1} {u} to {N2}. Now {she} has {2}',
    ),
    move(
      ['At first {N} had [2 - 1] {u}.'],
      '{N} finds {1} {u} and now has {2}',
      '{N} gets {1} {u} from {N2}. Now {she} has {2} {u}',
      'After {N} gets {1} more {u}, {she} has {2}',
    ),
  ],
  gains: [],
  losses: [],
  ends: [
    end(
      ['{N2} had [v + 1] {u}.'],
      ['{N2} had {1} more than {N} at first', 'At first {N2} had {1} {u} more than {N}'],
      'How many {u} did {N2} have?',
    ),
    end(
      ['Together they had [v + 1] {u}.'],
      ['{N2} had {1} {u} at first', 'At first {N2} had {1}'],
      'How many {u} did they have together at first?',
    ),
  ],
  asks: [
    'How many {u} did {N} have at first?',
    'How many {u} did {N} have before?',
    'How many {u} did {she} start with?',
    'How many {u} were there at the start?',
  ],
  asksLeft: ['How many {u} did {N} have at first?'],
};

export const owningFrames: readonly Frame[] = [
  { ...owning, id: 'things', things: ['{toys}', '{tools}', '{toys}', '{tools}', '{goods}'], weight: 5 },
  { ...owning, id: 'fruits', things: ['{fruits}', '{foods}', '{plants}'], weight: 3 },
  before,
];
