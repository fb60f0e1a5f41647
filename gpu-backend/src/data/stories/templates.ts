import type { Template } from '../arithmetic/problem.ts';
import { storyTemplate } from './compose.ts';
import { before } from './before.ts';
import type { Frame } from './frame.ts';
import { measureFrames } from './measures.ts';
import { moneyFrames } from './money.ts';
import { owningFrames } from './owning.ts';
import { placeFrames } from './places.ts';
import { sceneFrame } from './scene.ts';
import { homeScenes } from './scenes-home.ts';
import { townScenes } from './scenes-town.ts';

export const frames: readonly Frame[] = [
  ...owningFrames,
  before,
  ...placeFrames,
  ...moneyFrames,
  ...measureFrames,
  ...[...homeScenes, ...townScenes].map(sceneFrame),
];

/** How often stories of one, two, three and four steps are told. */
const weightsBySteps = [3, 4, 3, 1];

/** Trained; problems that `isHeldOut` names are kept out. */
export const storyTemplates: readonly Template[] = frames.flatMap((frame) =>
  weightsBySteps.flatMap((weight, i) => {
    const [min, max] = frame.steps ?? [1, weightsBySteps.length];
    const isPossible = i + 1 >= min && i + 1 <= max;
    return isPossible ? [storyTemplate(frame, i + 1, weight * (frame.weight ?? 1))] : [];
  }),
);

/** One and two steps more than any trained story has. */
export const longerStories: readonly Template[] = frames
  .filter((frame) => frame.steps === undefined && frame.losses.length > 0)
  .flatMap((frame) => [5, 6].map((numSteps) => storyTemplate(frame, numSteps, 1)));
