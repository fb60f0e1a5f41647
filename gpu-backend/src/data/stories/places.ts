import { end, move } from './frame.ts';
import type { Frame } from './frame.ts';

const more = 'Now there are [v + 1] {u}.';
const fewer = 'There are [v - 1] {u} left.';
const asks = [
  'How many {u} are there now?',
  'How many {u} are there in the end?',
  'How many {u} are there in all?',
  'How many {u} are now there?',
  'What is the number of {u} now?',
];
const asksLeft = ['How many {u} are left?', 'How many {u} remain?', 'How many {u} are still there?', ...asks];

/** People who come and go. */
const crowd: Omit<Frame, 'id'> = {
  isPersonal: false,
  weight: 3,
  things: ['{persons}', 'people', '{persons}'],
  starts: [
    move(
      [],
      'There are {1} {u} at the {place}',
      '{1} {u} are at the {place}',
      'A {place} has {1} {u} in it',
      '{1} {u} wait at the {place}',
      '{1} {u} visit a {place}',
      'There are {1} {u} in a room',
      '{N} counts {1} {u} at the {place}',
      '{1} {u} come to a party',
      '{1} {u} sit in a {ride}',
      'There are {1} {u} on a {ride}',
    ),
    move(
      ['In all there are [1 * 2] {u}.'],
      'There are {1} rows with {2} {u} in each',
      '{1} {teams} of {2} {u} come to the {place}',
      'There are {1} tables with {2} {u} at each',
      '{2} {u} sit at each of {1} tables',
      '{1} {rides} bring {2} {u} each',
      'At the {place} there are {1} {teams} of {2} {u} each',
    ),
    move(
      ['In all there are [1 + 2] {u}.'],
      'There are {1} {u} in one room and {2} in another',
      '{1} {u} come by {ride} and {2} come on foot',
      'There are {1} {u} from one town and {2} from another at the {place}',
      '{1} {u} come on {day2} and {2} come on {day3}',
    ),
  ],
  gains: [
    move(
      [more],
      '{1} more come',
      '{1} more {u} come in',
      '{1} more {u} arrive',
      '{1} others join them',
      '{1} {u} get on',
      '{1} more {u} come late',
      '{1} new {u} join',
      '{1} {u} come back',
    ),
    move(
      ['In the {teams} there are [1 * 2] {u}.', 'Now there are [o + r] {u}.'],
      '{1} {teams} of {2} {u} each arrive',
    ),
  ],
  losses: [
    move(
      [fewer],
      '{1} of them leave',
      '{1} {u} leave',
      '{1} {u} go home',
      '{1} go away',
      '{1} {u} get off',
      '{1} {u} have to leave early',
      '{1} of them walk out',
    ),
    move(
      ['[v / 1] {u} leave.', 'There are [o - r] {u} left.'],
      '{1:part} of them leave',
      '{1:part} of the {u} go home',
    ),
  ],
  ends: [
    end(
      ['Each {team} has [v / 1] {u}.'],
      [
        'They form {1} equal {teams}',
        'They are split evenly into {1} {teams}',
        'All of them go into {1} {teams} equally',
      ],
      'How many {u} are in each {team}?',
      'How many {u} does each {team} have?',
    ),
    end(
      ['There are [v / 1] {teams}.'],
      [
        'They form {teams} of {1}',
        'They are split into {teams} of {1} {u} each',
        '{1} {u} fit into each {team}',
      ],
      'How many {teams} are there?',
      'How many {teams} do they need?',
    ),
    end(
      ['In all they pay [v * 1] dollars.'],
      [
        'Each of them pays {1} dollars',
        'A ticket for each of them costs {1} dollars',
        'Everyone buys a ticket for {1} dollars',
      ],
      'How many dollars do they pay in all?',
      'How much money do they pay together?',
      'How many dollars do all the {u} pay?',
    ),
    end(
      ['There are [1 - v] free seats.'],
      ['There are {1} seats', 'There is room for {1} {u}'],
      'How many seats are free?',
      'How many more {u} can come?',
    ),
    end(
      ['There are [v - 1] boys.'],
      ['{1} of them are girls and the others are boys', '{1} are girls and the rest are boys'],
      'How many boys are there?',
    ),
    end(
      ['They need [v * 1] {foods}.'],
      ['Each of them eats {1} {foods}', 'Everyone gets {1} {foods}'],
      'How many {foods} do they need?',
      'How many {foods} is that in all?',
    ),
  ],
  asks,
  asksLeft,
};

/** Animals, cars and plants somewhere. */
const outdoors: Omit<Frame, 'id' | 'things'> = {
  isPersonal: false,
  starts: [
    move(
      [],
      'There are {1} {u} in a {wild_place}',
      '{1} {u} are near a {wild_place}',
      '{1} {u} sit on a {wild_place}',
      '{N} sees {1} {u} by the {wild_place}',
      '{N} counts {1} {u} near the {wild_place}',
      'A farm has {1} {u}',
    ),
    move(
      ['In all there are [1 * 2] {u}.'],
      'There are {2} {u} at each of {1} {wild_places}',
      'There are {1} groups of {2} {u} near a {wild_place}',
      'A farm has {1} pens with {2} {u} in each',
    ),
    move(
      ['In all there are [1 + 2] {u}.'],
      'There are {1} {color} {u} and {2} {color2} {u} near the {wild_place}',
      'A farmer has {1} {u} in one field and {2} in another',
      'There are {1} {u} by the {wild_place} and {2} by the {wild_place2}',
    ),
  ],
  gains: [move([more], '{1} more {u} come', '{1} more join them', '{1} others arrive', '{1} more come back')],
  losses: [
    move([fewer], '{1} of them leave', '{1} of the {u} go away', '{1} run off', '{1} {u} disappear'),
    move(['[v / 1] {u} leave.', 'There are [o - r] {u} left.'], '{1:part} of the {u} leave'),
  ],
  ends: [
    end(
      ['There are [v - 1] {color2} {u}.'],
      ['{1} of them are {color} and the rest are {color2}', '{1} are {color} and all others are {color2}'],
      'How many {u} are {color2}?',
      'How many {color2} {u} are there?',
    ),
    end(
      ['They have [v * 04] legs.'],
      ['Each of them has 4 legs'],
      'How many legs do they have in all?',
      'How many legs is that?',
    ),
    end(
      ['They eat [v * 1] {fruits}.'],
      ['Each of them eats {1} {fruits}', 'Every one of them gets {1} {fruits}'],
      'How many {fruits} do they eat?',
      'How many {fruits} are needed?',
    ),
    end(
      ['Each pen holds [v / 1] {u}.'],
      ['They are put into {1} pens equally', 'A farmer puts the same number into each of {1} pens'],
      'How many {u} are in each pen?',
    ),
  ],
  asks,
  asksLeft,
};

/** A shop or a store room. */
const stock: Omit<Frame, 'id'> = {
  isPersonal: false,
  weight: 3,
  things: ['{toys}', '{tools}', '{goods}', '{fruits}', '{foods}', '{plants}'],
  starts: [
    move(
      [],
      'A shop has {1} {u}',
      'There are {1} {u} in a store',
      'A {box} holds {1} {u}',
      'There are {1} {u} on a {shelf}',
      'A {place} owns {1} {u}',
      '{1} {u} lie on a {shelf}',
      'A {box} contains {1} {u}',
    ),
    move(
      ['There are [1 * 2] {u} in the {boxes}.'],
      'A shop gets {1} {boxes} of {2} {u}',
      'There are {1} {boxes} with {2} {u} in each',
      'A {place} orders {1} {boxes} with {2} {u} each',
      '{1} {boxes} hold {2} {u} each',
    ),
    move(
      ['There are [1 * 2] {u} on the {shelves}.'],
      'There are {1} {shelves} with {2} {u} on each',
      'A shop has {1} {shelves} and {2} {u} on every one',
    ),
    move(
      ['In all there are [1 + 2] {u}.'],
      'A shop has {1} {color} {u} and {2} {color2} {u}',
      'There are {1} {u} in a {box} and {2} on a {shelf}',
    ),
  ],
  gains: [
    move(
      [more],
      '{1} more {u} are delivered',
      '{1} more are put there',
      '{N} brings {1} more',
      '{N} adds {1} {u}',
      '{1} new {u} come in',
    ),
  ],
  losses: [
    move(
      [fewer],
      '{1} of them are sold',
      '{1} {u} are sold',
      '{N2} takes {1} of them',
      '{N2} buys {1} {u}',
      '{1} {u} are broken and thrown away',
      '{1} are taken out',
      '{1} of the {u} get lost',
    ),
    move(
      ['[v / 1] {u} are sold.', 'There are [o - r] {u} left.'],
      '{1:part} of them are sold',
      '{1:part} of the {u} are sold',
    ),
  ],
  ends: [
    end(
      ['There are [v - 1] {color2} {u}.'],
      ['{1} of them are {color} and the rest are {color2}', '{1} are {color} and the others are {color2}'],
      'How many {u} are {color2}?',
      'How many {color2} {u} are there?',
    ),
    end(
      ['They are worth [v * 1] dollars.'],
      ['Each of them costs {1} dollars', 'One of them is sold for {1} dollars'],
      'How many dollars are they worth in all?',
      'How many dollars do all of them cost?',
    ),
    end(
      ['It takes [v / 1] days.'],
      ['{1} of them are sold each day', 'Each day {N} uses {1} of them'],
      'How many days does it take until none are left?',
      'After how many days are all of them gone?',
    ),
    end(
      ['Each {box} holds [v / 1] {u}.'],
      ['They are packed into {1} {boxes} equally'],
      'How many {u} are in each {box}?',
    ),
    end(
      ['There are [v / 1] {boxes}.'],
      ['They are packed into {boxes} of {1}', 'Each {box} takes {1} of them'],
      'How many {boxes} are needed?',
      'How many {boxes} are filled?',
    ),
  ],
  asks,
  asksLeft,
};

export const placeFrames: readonly Frame[] = [
  { ...crowd, id: 'crowd' },
  { ...outdoors, id: 'animals', things: ['{animals}', '{wilds}', '{animals}'], weight: 2 },
  { ...stock, id: 'stock' },
];
