import type { PassStats } from './engine-messages.ts';

/** A pass moves the mean by this share once there were enough of them: what the machine does meanwhile shows soon. */
const LEAST_GAIN = 0.05;

/** What passes take by how many texts share them, as they were served. */
export class SlotTimes {
  readonly #means = new Map<number, { milliseconds: number; numPasses: number }>();

  /** A pass as one of its texts saw it: each of them counts it, so that one that all share weighs no more than others. */
  add({ milliseconds, numPasses, numSequences, numDrafted }: PassStats): void {
    // A prompt's pass takes what the prompt takes; a draft model's passes and blocks of diffusion are several.
    if (numDrafted === 0 || numPasses !== 1) return;
    const before = this.#means.get(numSequences) ?? { milliseconds: 0, numPasses: 0 };
    const gain = Math.max(LEAST_GAIN, 1 / (before.numPasses + 1));
    const mean = before.milliseconds + gain * (milliseconds - before.milliseconds);
    this.#means.set(numSequences, { milliseconds: mean, numPasses: before.numPasses + 1 });
  }

  /** `[texts, milliseconds]`, by the number of texts. */
  get curve(): [numTexts: number, milliseconds: number][] {
    return [...this.#means]
      .map(([numTexts, { milliseconds }]): [number, number] => [numTexts, rounded(milliseconds)])
      .sort(([one], [other]) => one - other);
  }
}

const rounded = (milliseconds: number): number => Math.round(1000 * milliseconds) / 1000;
