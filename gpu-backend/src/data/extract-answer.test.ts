import { describe, expect, it } from 'vitest';
import { extractAnswer } from './extract-answer.ts';

describe('extractAnswer', () => {
  it.each([
    ['Ana has 2 + 3 = 5 pens.\n#### 5', '5'],
    ['#### 5\n', '5'],
    ['####5', '5'],
    ['#### -12', '-12'],
    ['#### 1,250', '1250'],
    ['#### 4\n#### 6', '6'],
  ])('%j gives %j', (text, expected) => {
    expect(extractAnswer(text)).toBe(expected);
  });

  it.each(['', 'Ana has 5.', '#### five', '#### 5 apples', 'so #### 5', '###'])('%j has none', (text) => {
    expect(extractAnswer(text)).toBeUndefined();
  });
});
