import { makeRandom } from '../../gpu-backend/src/engine/grammar/testing.ts';

/** Numbers that a seed gives, the same on every machine. */
export class Random {
  /** At least 0 and less than 1. */
  readonly next: () => number;

  constructor(seed: string) {
    this.next = makeRandom(hash(seed));
  }

  /** A whole number, both ends included. */
  whole(least: number, most: number): number {
    return least + Math.floor(this.next() * (most - least + 1));
  }

  chance(probability: number): boolean {
    return this.next() < probability;
  }

  pick<Value>(values: readonly Value[]): Value {
    const value = values[this.whole(0, values.length - 1)];
    if (value === undefined) throw new Error('there is nothing to pick from');
    return value;
  }
}

/** FNV-1a. */
function hash(text: string): number {
  let state = 0x811c9dc5;
  for (const character of text) state = Math.imul(state ^ (character.codePointAt(0) ?? 0), 0x01000193);
  return state | 0;
}
