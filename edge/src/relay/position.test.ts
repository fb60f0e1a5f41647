import type { StepEvent } from '@tidar/shared/protocol.ts';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { advance, encodePosition, Overlap, parsePosition, type Position, startPosition } from './position.ts';

const NUM_CHOICES = 2;
const step = (choice: number, numTokens: number, text: string): StepEvent => ({
  type: 'step',
  choice,
  token_ids: Array<number>(numTokens).fill(7),
  text,
});
/** The text of the token at an index of a choice: a held-back text may make it empty, or of some characters. */
const textOf = (index: number): string => 'abc'.slice(0, (index * 7) % 4);
const textUpTo = (numTokens: number): string =>
  Array.from({ length: numTokens }, (_, index) => textOf(index)).join('');

/** A stream of a choice's tokens from one index to another, in steps of these lengths. */
function stream(from: number, to: number, lengths: readonly number[]): StepEvent[] {
  const steps: StepEvent[] = [];
  for (let [index, at] = [0, from]; at < to; index += 1) {
    const end = Math.min(to, at + (lengths[index % lengths.length] ?? 1));
    steps.push(step(0, end - at, textUpTo(end).slice(textUpTo(at).length)));
    at = end;
  }
  return steps;
}

describe('a position', () => {
  it('is the same again once it was an id', () => {
    const count = fc.nat({ max: 100_000 });
    const counts = fc.array(count, { minLength: NUM_CHOICES, maxLength: NUM_CHOICES });
    fc.assert(
      fc.property(counts, counts, (tokens, characters) => {
        const position: Position = { tokens, characters };
        expect(parsePosition(encodePosition(position), NUM_CHOICES)).toEqual(position);
      }),
    );
  });

  it.each([
    '',
    '1',
    '1,2,3',
    '1,',
    '01,2',
    '1,-2',
    '1.0,2',
    '1.,2',
    '1.2.3,4',
    'a,b',
    '1, 2',
    '99999999999,1',
  ])('is not read from what is none of two choices: %j', (id) => {
    expect(parsePosition(id, NUM_CHOICES)).toBeUndefined();
  });

  it('counts characters only since the last token, by choice', () => {
    let position = startPosition(NUM_CHOICES);
    for (const event of [step(0, 2, 'ab'), step(1, 1, ''), step(0, 0, 'rest'), step(1, 0, 'é')])
      position = advance(position, event);
    expect(encodePosition(position)).toBe('2.4,1.1');
    expect(encodePosition(advance(position, step(0, 1, 'x')))).toBe('3,1.1');
  });
});

describe('an overlap', () => {
  it('leaves of a repeated stream exactly what is new, wherever its steps are cut', () => {
    const lengths = fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 5 });
    fc.assert(
      fc.property(fc.nat({ max: 20 }), fc.nat({ max: 20 }), lengths, (numKnown, numMore, cuts) => {
        const end = numKnown + numMore;
        const known = { tokens: [numKnown, 0], characters: [textUpTo(numKnown).length, 0] };
        const overlap = new Overlap(known);
        const rest = stream(0, end, cuts).flatMap((event) => overlap.rest(event) ?? []);
        expect(rest.flatMap(({ token_ids: ids }) => ids)).toHaveLength(numMore);
        expect(textUpTo(numKnown) + rest.map(({ text }) => text).join('')).toBe(textUpTo(end));
      }),
    );
  });

  it('leaves the other choice alone', () => {
    const overlap = new Overlap({ tokens: [3, 0], characters: [3, 0] });
    expect(overlap.rest(step(1, 2, 'xy'))).toEqual(step(1, 2, 'xy'));
  });

  it('leaves a whole step its trace, and takes it from one of which its reader has a part', () => {
    const trace = [] as NonNullable<StepEvent['trace']>;
    const traced = { ...step(0, 3, 'xyz'), trace };
    expect(new Overlap({ tokens: [0, 0], characters: [0, 0] }).rest(traced)).toEqual(traced);
    expect(new Overlap({ tokens: [1, 0], characters: [1, 0] }).rest(traced)).toEqual(step(0, 2, 'yz'));
  });
});
