import { more, rest, share, times } from './scene.ts';
import type { Scene } from './scene.ts';

/** At work, at school, in town. */
export const townScenes: readonly Scene[] = [
  {
    id: 'mail',
    things: ['letters', 'packages', 'emails', 'messages', 'postcards', 'parcels'],
    isPersonal: true,
    starts: [
      '{N} has {1} {u} to answer',
      '{N} gets {1} {u} in the morning',
      'There are {1} {u} for {N}',
      '{N} finds {1} {u} on {her} desk',
    ],
    groups: [
      '{N} gets {2} {u} on each of {1} days',
      '{N} gets {2} {u} per day for {1} days',
      '{1} {relatives} send {N} {2} {u} each',
    ],
    pairs: ['{N} gets {1} {u} from {N3} and {2} from {N4}'],
    gains: ['gets {1} more', 'receives {1} new {u}', 'finds {1} more in a {box}'],
    losses: ['answers {1} of them', 'throws away {1} of the {u}', 'sends {1} back', 'hands {1} {u} to {N2}'],
    ends: [
      share(
        '{She} answers {1} of them per hour',
        'How many hours does {she} need for all of them?',
        '{N} needs # hours.',
      ),
      share(
        '{She} sorts them into {1} equal piles',
        'How many {u} are in each pile?',
        'Each pile has # {u}.',
      ),
    ],
  },
  {
    id: 'delivery',
    things: ['packages', '{boxes}', 'parcels', '{goods}', 'newspapers'],
    isPersonal: true,
    starts: [
      '{N} has {1} {u} to deliver',
      '{N} loads {1} {u} into a van',
      'There are {1} {u} in the van of {N}',
    ],
    groups: [
      '{N} loads {1} piles of {2} {u} each',
      '{N} has {2} {u} for each of {1} streets',
      '{N} carries {2} {u} per trip and makes {1} trips',
    ],
    pairs: ['{N} loads {1} {u} for one town and {2} for another'],
    gains: ['picks up {1} more', 'loads {1} more {u}', 'gets {1} more at the {place}'],
    losses: [
      'delivers {1} of them',
      'drops {1} at the {place}',
      'unloads {1} {u}',
      'leaves {1} with {N2}',
      'delivers {1} {u} before noon',
    ],
    ends: [
      share(
        '{She} brings {1} of them to each house',
        'How many houses does {N} go to?',
        '{N} goes to # houses.',
      ),
      times(
        '{She} gets {1} dollars for each of them',
        'How many dollars does {N} get?',
        '{N} gets # dollars.',
      ),
    ],
  },
  {
    id: 'class',
    things: ['pupils', 'students', 'children', 'kids', 'girls', 'boys'],
    starts: [
      'A class has {1} {u}',
      'There are {1} {u} in a school',
      '{1} {u} go on a trip',
      'A course starts with {1} {u}',
      '{1} {u} sing together',
    ],
    groups: [
      'A school has {1} classes of {2} {u} each',
      'There are {1} benches with {2} {u} on each',
      'There are {2} {u} per class and {1} classes',
    ],
    pairs: [
      'There are {1} {u} in one class and {2} in another',
      'A school has {1} {u} in the first year and {2} in the second',
    ],
    gains: ['{1} new {u} come', '{1} {u} from another school join', '{1} more {u} want to come'],
    losses: [
      '{1} of them are ill',
      '{1} {u} move to another town',
      '{1} of the {u} stay at home',
      '{1} {u} change schools',
    ],
    ends: [
      share('The teacher forms groups of {1}', 'How many groups are there?', 'There are # groups.'),
      share(
        'They are divided into {1} equal groups',
        'How many {u} are in each group?',
        'Each group has # {u}.',
      ),
      times('Each of them needs {1} {tools}', 'How many {tools} are needed?', 'They need # {tools}.'),
      rest('{1} of them can swim', "How many {u} can't swim?", 'There are # {u} who can not swim.'),
    ],
  },
  {
    id: 'harbor',
    things: ['boats', 'ships', 'cars', 'buses', 'planes', 'trains', 'bikes', 'taxis'],
    starts: [
      'There are {1} {u} at the {place}',
      '{1} {u} stand in a row',
      '{N} counts {1} {u}',
      '{1} {u} are on their way',
    ],
    groups: ['There are {1} rows with {2} {u} per row', '{1} companies own {2} {u} each'],
    pairs: ['There are {1} {color} {u} and {2} {color2} {u} at the {place}'],
    gains: ['{1} more arrive', '{1} {u} come back', '{1} others stop there', '{1} new {u} are bought'],
    losses: ['{1} of them leave', '{1} {u} go away', '{1} are sold', '{1} break down and are taken away'],
    ends: [
      times('Each of them carries {1} people', 'How many people do they carry?', 'They carry # people.'),
      more(
        'In another town there are {1} more {u} than here',
        'How many {u} are in the other town?',
        'In the other town there are # {u}.',
      ),
    ],
  },
  {
    id: 'show',
    things: ['seats', 'tickets', 'chairs', 'places'],
    starts: [
      'A theater has {1} {u}',
      'There are {1} {u} for a concert',
      'A hall has {1} {u}',
      'There are {1} {u} for a show at the {place}',
    ],
    groups: [
      'A hall has {1} rows of {2} {u} each',
      'There are {1} rows with {2} {u} per row',
      'Each of {1} rows has {2} {u}',
    ],
    pairs: ['There are {1} {u} below and {2} {u} on the balcony', 'There are {1} cheap {u} and {2} good {u}'],
    gains: ['{1} more {u} are added', '{N} brings {1} more', '{1} {u} are given back'],
    losses: [
      '{1} of them are taken',
      '{1} {u} are sold',
      '{1} {u} are sold on {day2}',
      '{1} are kept for {relatives}',
      '{N} buys {1} of the {u}',
    ],
    ends: [times('Each of them is sold for {1} dollars', 'How many dollars is that?', 'That is # dollars.')],
  },
  {
    id: 'office',
    things: ['forms', 'reports', 'files', 'pages', 'bills', 'tasks', 'orders', 'calls'],
    isPersonal: true,
    starts: [
      '{N} has {1} {u} to check',
      'There are {1} {u} on the desk of {N}',
      '{N} starts the day with {1} {u}',
    ],
    groups: ['{N} gets {2} {u} from each of {1} {jobs}', '{N} has {1} folders with {2} {u} in each'],
    pairs: ['{N} has {1} {u} from {N3} and {2} from {N4}'],
    gains: ['gets {1} more', 'finds {1} more {u} in a folder', 'is given {1} {u} by {her} boss'],
    losses: [
      'checks {1} of them',
      'finishes {1} {u} before noon',
      'hands {1} {u} to {N2}',
      'sends {1} of the {u} back',
    ],
    ends: [
      share('{She} does {1} of them per hour', 'How many hours does {N} need?', '{N} needs # hours.'),
      share(
        '{N} and {her} colleagues are {1} people and split them evenly',
        'How many {u} does each of them do?',
        'Each of them does # {u}.',
      ),
      times('Each of them takes {1} minutes', 'How many minutes does {N} need?', '{N} needs # minutes.'),
    ],
  },
  {
    id: 'days',
    things: ['days', 'hours', 'weeks', 'minutes'],
    starts: [
      'A trip takes {1} {u}',
      '{N} plans to stay for {1} {u}',
      'A course lasts {1} {u}',
      'The work takes {1} {u}',
    ],
    groups: [
      'A course has {1} parts of {2} {u} each',
      '{N} needs {2} {u} per room and paints {1} rooms',
      'It takes {2} {u} to make one {good}. {N} makes {1} {goods}',
    ],
    pairs: [
      '{N} stays {1} {u} in one town and {2} in another',
      'The first part takes {1} {u} and the second {2} {u}',
    ],
    gains: ['it takes {1} {u} more', 'a delay adds {1} {u}', '{N} adds a break of {1} {u}'],
    losses: ['{N} saves {1} {u}', '{1} {u} are over already', '{N} is {1} {u} faster'],
    has: 'It is',
    asks: ['How many {u} is that in all?', 'How many {u} does it take?', 'How many {u} does it take in all?'],
    asksLeft: ['How many {u} is that?', 'How many {u} does it take then?', 'How many {u} are left?'],
    ends: [
      times(
        'The cost is {1} dollars for each of the {u}',
        'How many dollars does it cost?',
        'It costs # dollars.',
      ),
      more(
        'The next time it takes {1} {u} more',
        'How many {u} does it take the next time?',
        'The next time it takes # {u}.',
      ),
    ],
  },
];
