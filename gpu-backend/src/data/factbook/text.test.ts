import { describe, expect, it } from 'vitest';
import { cleanText, joinWithAnd, parseCount, roundedCount, splitList, withoutBrackets } from './text.ts';

describe('factbook text', () => {
  it.each([
    ['a &amp; b&nbsp;c', 'a & b c'],
    ['S&#227;o Tom&#233;', 'Sao Tome'],
    ['<b>Bogot\u00e1</b>\n ', 'Bogota'],
    ['&unknown;', '&unknown;'],
  ])('cleans %j to %j', (text, expected) => {
    expect(cleanText(text)).toBe(expected);
  });

  it('takes nested brackets out', () => {
    expect(withoutBrackets('Mount (peak (old)) Kenya [x], 5 m')).toBe('Mount Kenya, 5 m');
  });

  it('splits lists outside of brackets only', () => {
    expect(splitList('Arabic (official, old), French,')).toEqual(['Arabic (official, old)', 'French']);
  });

  it.each([
    ['39,542,166 (July 2015 est.)', 39_542_166],
    ['1.284 million sq km', 1_284_000],
    ['643,801 sq km; 551,500 sq km', 643_801],
    ['uninhabited', undefined],
  ])('counts %j as %j', (text, expected) => {
    expect(parseCount(text)).toBe(expected);
  });

  it.each([
    [39_542_166, '40 million'],
    [1_367_485_388, '1.4 billion'],
    [2_381_741, '2.4 million'],
    [83_871, '84,000'],
    [697, '700'],
    [996_000, '1 million'],
    [7, '7'],
  ])('rounds %j to %j', (count, expected) => {
    expect(roundedCount(count)).toBe(expected);
  });

  it('joins with commas and one "and"', () => {
    expect([[], ['A'], ['A', 'B'], ['A', 'B', 'C']].map(joinWithAnd)).toEqual([
      '',
      'A',
      'A and B',
      'A, B and C',
    ]);
  });
});
