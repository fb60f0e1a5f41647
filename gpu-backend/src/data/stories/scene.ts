import { end, move } from './frame.ts';
import type { End, Frame } from './frame.ts';

/** A scene in a few words: what is there, how it comes to be more or fewer, and how it ends. */
export interface Scene {
  id: string;
  things: readonly string[];
  /** Somebody acts: gains and losses are verb phrases of `{N}`. */
  isPersonal?: boolean;
  starts: readonly string[];
  /** `{1}` groups of `{2}`. */
  groups?: readonly string[];
  /** `{1}` and `{2}` of two kinds. */
  pairs?: readonly string[];
  gains?: readonly string[];
  losses?: readonly string[];
  /** What is there in the end, as in "There are": asked and stepped with. */
  has?: string;
  asks?: readonly string[];
  asksLeft?: readonly string[];
  ends?: readonly End[];
}

export const share = (told: string, ask: string, step: string): End =>
  end([`${step.replace('#', '[v / 1]')}`], [told], ask);
export const times = (told: string, ask: string, step: string): End =>
  end([`${step.replace('#', '[v * 1]')}`], [told], ask);
export const missing = (told: string, ask: string, step: string): End =>
  end([`${step.replace('#', '[1 - v]')}`], [told], ask);
export const rest = (told: string, ask: string, step: string): End =>
  end([`${step.replace('#', '[v - 1]')}`], [told], ask);
export const more = (told: string, ask: string, step: string): End =>
  end([`${step.replace('#', '[v + 1]')}`], [told], ask);

/** The frame that a scene stands for. */
export function sceneFrame(scene: Scene): Frame {
  const isPersonal = scene.isPersonal === true;
  const has = scene.has ?? (isPersonal ? '{N} has' : 'There are');
  const left = scene.has === undefined ? ' left' : '';
  const start = (steps: readonly string[], told: readonly string[] = []) =>
    told.length === 0 ? [] : [move(steps, ...told)];
  const asks = isPersonal
    ? [
        'How many {u} does {N} have now?',
        'How many {u} does {N} have in all?',
        'How many {u} is that in all?',
        'How many {u} does {she} have in the end?',
      ]
    : [
        'How many {u} are there now?',
        'How many {u} are there in all?',
        'What is the number of {u} then?',
        'How many {u} are there in the end?',
      ];
  const asksLeft = isPersonal
    ? [
        'How many {u} does {N} have left?',
        'How many {u} are left?',
        'How many {u} does {she} still have?',
        'How many {u} remain for {N}?',
      ]
    : [
        'How many {u} are left?',
        'How many {u} are there then?',
        'How many {u} remain?',
        'How many of the {u} are still there?',
      ];
  return {
    id: scene.id,
    things: scene.things,
    isPersonal,
    weight: 1,
    starts: [
      ...start([], scene.starts),
      ...start(['In all it is [1 * 2] {u}.'], scene.groups),
      ...start(['Together it is [1 + 2] {u}.'], scene.pairs),
    ],
    gains: start([`${has} [v + 1] {u}.`], scene.gains),
    losses: start([`${has} [v - 1] {u}${left}.`], scene.losses),
    ends: scene.ends ?? [],
    asks: scene.asks ?? asks,
    asksLeft: scene.asksLeft ?? asksLeft,
  };
}
