import { chain } from './chains.ts';
import { collecting } from './collecting.ts';
import { comparing } from './comparing.ts';
import { fractions } from './fractions.ts';
import { groups } from './groups.ts';
import { making } from './making.ts';
import { money } from './money.ts';
import { newTemplates as newPatterns } from './new-templates.ts';
import { template } from './pattern.ts';
import type { Template } from './problem.ts';
import { time } from './time.ts';
import { unseenTemplates as unseenPatterns } from './unseen-templates.ts';

/** What the model is trained on; problems that `isHeldOut` names are kept out. */
export const trainedTemplates: readonly Template[] = [
  ...[...collecting, ...groups, ...money, ...time, ...comparing, ...fractions, ...making].map(template),
  chain(1, 2),
  chain(2, 4),
  chain(3, 6),
];

/** Stories that are never trained. */
export const newTemplates: readonly Template[] = newPatterns.map(template);

/** All twenty that are never trained: the five above, and fifteen that are further away. */
export const unseenTemplates: readonly Template[] = [...newTemplates, ...unseenPatterns.map(template)];

/** One and two steps more than any trained problem has. */
export const longerChains: readonly Template[] = [chain(4, 1), chain(5, 1)];
