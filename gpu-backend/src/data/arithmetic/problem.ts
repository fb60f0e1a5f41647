import type { Random } from '../random.ts';

/** One worked word problem. */
export interface Problem {
  templateId: string;
  /** Every number drawn for it; with the template's id it decides whether the problem is held out. */
  numbers: number[];
  question: string;
  /** Sentences, each with one `a op b = c`. */
  steps: string[];
  answer: number;
}

/** A kind of problem: its wording is fixed, its numbers, names and things are drawn. */
export interface Template {
  id: string;
  /** How often it is drawn, relative to the others. */
  weight: number;
  generate(random: Random): Problem;
}

/** The text that the model learns to answer with: one line a step, the result on the last. */
export function formatAnswer(problem: Problem): string {
  return [...problem.steps, `#### ${problem.answer}`].join('\n');
}

const heldOutShare = 1 / 20;

/**
 * Whether a problem of a trained template is kept for evaluation. A function of the template and its numbers
 * alone, so a held-out combination is held out under every name and thing.
 */
export function isHeldOut(problem: Problem): boolean {
  return hashText(`${problem.templateId}:${problem.numbers.join(',')}`) < heldOutShare * 2 ** 32;
}

/** FNV-1a over UTF-16 units with a final mix, as an unsigned 32-bit number. */
export function hashText(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
