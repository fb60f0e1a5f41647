import { end, move } from './frame.ts';
import type { Frame } from './frame.ts';
import { owning } from './owning.ts';

/** What was there before is asked. */
export const before: Frame = {
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
