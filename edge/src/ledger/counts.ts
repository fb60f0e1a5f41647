import type { TokenCounts } from './types.ts';

export const COUNTS: readonly (keyof TokenCounts)[] = [
  'promptTokens',
  'cachedTokens',
  'completionTokens',
  'numForwardPasses',
];
export const NO_TOKENS: TokenCounts = {
  promptTokens: 0,
  cachedTokens: 0,
  completionTokens: 0,
  numForwardPasses: 0,
};

export function checkedCounts(counts: TokenCounts): TokenCounts {
  for (const name of COUNTS) {
    if (!Number.isSafeInteger(counts[name]) || counts[name] < 0)
      throw new RangeError(`${name} is ${counts[name]}`);
  }
  return counts;
}

export function highestCounts(one: TokenCounts, other: TokenCounts): TokenCounts {
  return combine(one, other, Math.max);
}

export function countsDifference(one: TokenCounts, other: TokenCounts): TokenCounts {
  return combine(one, other, (a, b) => a - b);
}

function combine(one: TokenCounts, other: TokenCounts, by: (a: number, b: number) => number): TokenCounts {
  return {
    promptTokens: by(one.promptTokens, other.promptTokens),
    cachedTokens: by(one.cachedTokens, other.cachedTokens),
    completionTokens: by(one.completionTokens, other.completionTokens),
    numForwardPasses: by(one.numForwardPasses, other.numForwardPasses),
  };
}
