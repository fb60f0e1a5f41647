import type { Random } from '../random.ts';
import { isHeldOut } from './problem.ts';
import type { Problem, Template } from './problem.ts';

/** After so many draws in a row that are known or refused, the templates are taken to be used up. */
const maxRefused = 100_000;

/**
 * Draws distinct problems without end: a question that was given once never comes again. `accept` chooses the
 * split; templates are drawn by weight.
 */
export function* generateProblems(
  templates: readonly Template[],
  random: Random,
  accept: (problem: Problem) => boolean,
): Generator<Problem, never> {
  const weighted = templates.flatMap((each) => Array<Template>(each.weight).fill(each));
  const seen = new Set<string>();
  let numRefused = 0;
  for (;;) {
    const problem = random.pick(weighted).generate(random);
    if (seen.has(problem.question) || !accept(problem)) {
      if (++numRefused > maxRefused) throw new Error('the templates have no more problems to give');
      continue;
    }
    numRefused = 0;
    seen.add(problem.question);
    yield problem;
  }
}

/** For training: everything but the held-out numbers. */
export const isTrained = (problem: Problem): boolean => !isHeldOut(problem);
