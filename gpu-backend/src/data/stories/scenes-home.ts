import { missing, share, times } from './scene.ts';
import type { Scene } from './scene.ts';

/** At home, in the garden, in the workshop. */
export const homeScenes: readonly Scene[] = [
  {
    id: 'kitchen',
    things: ['{foods}', '{fruits}'],
    starts: [
      'There are {1} {u} on a plate',
      '{1} {u} lie on the kitchen table',
      'A bowl holds {1} {u}',
      'In the kitchen there are {1} {u}',
    ],
    groups: [
      'There are {1} plates with {2} {u} on each',
      '{N} sets {2} {u} on each of {1} plates',
      'Each of {1} bowls holds {2} {u}',
    ],
    pairs: ['There are {1} {u} on a plate and {2} in a bowl'],
    gains: [
      '{N} puts {1} more on the plate',
      '{N} cooks {1} more',
      '{1} more are put there',
      '{N} adds {1} {u}',
    ],
    losses: [
      '{N} eats {1} of them',
      '{1} are eaten',
      '{N} and {N2} eat {1} of the {u}',
      'the dog eats {1}',
      '{1} of the {u} are burnt',
    ],
    ends: [
      share(
        '{1} {relatives} share them equally',
        'How many {u} does each {relative} eat?',
        'Each {relative} eats # {u}.',
      ),
      share(
        '{N} packs {1} of them into each lunch box',
        'How many lunch boxes does {N} fill?',
        '{N} fills # lunch boxes.',
      ),
      missing('{N} needs {1} {u} for a dinner', 'How many more {u} does {N} need?', '{N} needs # more {u}.'),
    ],
  },
  {
    id: 'laundry',
    things: ['shirts', 'socks', 'towels', 'sheets', 'napkins', 'jackets', 'uniforms'],
    isPersonal: true,
    starts: [
      '{N} has {1} {u} to wash',
      'There are {1} {u} in the basket of {N}',
      '{N} hangs {1} {u} on a line',
      '{N} brings {1} {u} to the cleaner',
    ],
    groups: ['{N} washes {1} loads of {2} {u} each', '{N} washes {2} {u} per load and does {1} loads'],
    pairs: ['{N} has {1} {color} {u} and {2} {color2} {u} to wash'],
    gains: ['finds {1} more under the bed', 'adds {1} more', 'gets {1} {u} from {N2}'],
    losses: [
      'folds {1} of them',
      'tears {1} of the {u}',
      'puts {1} away',
      'gives {1} of the {u} back to {N2}',
    ],
    ends: [
      share('{She} washes {1} of them at a time', 'How many loads does {N} wash?', '{N} washes # loads.'),
      times(
        'Washing one of them takes {1} minutes',
        'How many minutes does it take in all?',
        'In all it takes # minutes.',
      ),
    ],
  },
  {
    id: 'building',
    things: ['bricks', 'boards', 'tiles', 'stones', 'planks', 'blocks', 'panels'],
    isPersonal: true,
    starts: [
      '{N} has {1} {u} for a wall',
      '{N} buys {1} {u} to build a shed',
      'A pile of {1} {u} lies in front of the house of {N}',
    ],
    groups: [
      '{N} buys {1} stacks of {2} {u} each',
      '{N} lays {1} layers with {2} {u} per layer',
      '{N} carries {2} {u} at a time and goes {1} times',
    ],
    pairs: ['{N} has {1} {size} {u} and {2} {size2} {u}'],
    gains: ['buys {1} more', 'gets {1} {u} from a builder', 'finds {1} old {u}'],
    losses: ['uses {1} of them', 'breaks {1}', 'uses {1} {u} for a path', 'gives {1} {u} to {N2}'],
    ends: [
      share('{She} lays {1} of them in each row', 'How many rows does {N} lay?', '{N} lays # rows.'),
      missing('The wall takes {1} {u}', 'How many {u} are missing?', 'There are # {u} missing.'),
      times(
        'Each of them costs {1} dollars',
        'How many dollars do they cost in all?',
        'In all they cost # dollars.',
      ),
    ],
  },
  {
    id: 'garden',
    things: ['{plants}', '{fruits}', 'flowers'],
    starts: [
      'There are {1} {u} in the garden of {N}',
      '{1} {u} grow behind the house',
      'A garden has {1} {u}',
      '{1} {u} stand in a greenhouse',
    ],
    groups: [
      'There are {1} beds with {2} {u} in each',
      'A garden has {1} beds and {2} {u} per bed',
      'In a garden there are {1} pots of {2} {u} each',
    ],
    pairs: ['There are {1} {color} {u} and {2} {color2} {u} in the garden'],
    gains: ['{N} plants {1} more', '{1} new {u} grow', '{N} sets {1} more {u} into the ground'],
    losses: [
      '{1} of them dry out',
      'rabbits eat {1} of the {u}',
      '{N} cuts {1} of them',
      '{N} gives {1} of the {u} to {N2}',
      'a storm breaks {1} {u}',
    ],
    ends: [
      share('{N} ties them into bunches of {1}', 'How many bunches are there?', 'There are # bunches.'),
      times(
        'Each of them needs {1} cups of water',
        'How many cups of water do they need?',
        'They need # cups of water.',
      ),
    ],
  },
  {
    id: 'barrel',
    things: ['liters', 'gallons', 'cups', 'buckets'],
    starts: [
      'There are {1} {u} of water in a barrel',
      'A barrel holds {1} {u} of juice',
      'A pot contains {1} {u} of soup',
      '{N} has {1} {u} of milk',
    ],
    groups: [
      '{N} pours {1} cans with {2} {u} each into a barrel',
      '{N} has {1} bottles with {2} {u} of juice per bottle',
    ],
    gains: ['{N} pours in {1} more', 'the rain adds {1} {u}', '{N} adds another {1} {u}'],
    losses: ['{N} uses {1} {u}', '{1} {u} are used up', '{N} takes out {1} {u}', '{1} {u} run out'],
    ends: [
      share(
        '{N} pours it into bottles of {1} {u}',
        'How many bottles does {N} fill?',
        '{N} fills # bottles.',
      ),
      share('{N} uses {1} {u} per day', 'How many days does it last?', 'It lasts # days.'),
      missing(
        'There is room for {1} {u}',
        'How many {u} can still be added?',
        'There is room for # more {u}.',
      ),
    ],
  },
  {
    id: 'weight',
    things: ['kilograms', 'grams'],
    starts: [
      'A {animal} weighs {1} {u}',
      'The bag of {N} weighs {1} {u}',
      'A {box} of {fruits} weighs {1} {u}',
      '{N} has {1} {u} of {fruits}',
    ],
    groups: [
      '{N} buys {1} {boxes} of {fruits} and each weighs {2} {u}',
      'Each of {1} {boxes} weighs {2} {u}',
    ],
    pairs: ['One {box} weighs {1} {u} and another one weighs {2} {u}'],
    gains: ['{1} {u} are added', '{N} puts in {1} {u} more', 'it gets {1} {u} heavier'],
    losses: ['{1} {u} are taken out', 'it gets {1} {u} lighter', '{N} takes {1} {u} away'],
    asks: [
      'How many {u} is that now?',
      'How many {u} does it weigh now?',
      'What is the weight in {u}?',
      'How many {u} is that in all?',
    ],
    asksLeft: ['How many {u} are left?', 'How many {u} does it weigh then?', 'How many {u} is that now?'],
    has: 'Now it is',
    ends: [
      times(
        'Each of the {u} costs {1} dollars',
        'How many dollars does it cost in all?',
        'In all it costs # dollars.',
      ),
    ],
  },
  {
    id: 'craft',
    things: ['beads', 'buttons', 'ribbons', 'stickers', 'feathers', 'threads', 'pearls', 'sequins'],
    isPersonal: true,
    starts: ['{N} has {1} {u} for a costume', '{N} uses {1} {u} for a picture', '{N} sorts {1} {u}'],
    groups: [
      '{N} makes {1} bracelets with {2} {u} per bracelet',
      '{N} sews {2} {u} on each of {1} jackets',
      '{N} glues {2} {u} on each of {1} cards',
    ],
    pairs: ['{N} needs {1} {color} {u} and {2} {color2} {u}'],
    gains: ['buys {1} more', 'takes {1} more from a {box}', 'gets {1} {u} from {N2}'],
    losses: ['loses {1} of them', 'takes {1} {u} off again', 'gives {1} {u} to {N2}', 'drops {1} of the {u}'],
    ends: [
      share('{She} puts {1} {u} on each card', 'How many cards does {N} make?', '{N} makes # cards.'),
      times('Each of them costs {1} cents', 'How many cents is that in all?', 'In all it is # cents.'),
    ],
  },
];
