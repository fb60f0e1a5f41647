import type { CharRange } from '../expression.ts';

/** Bytes [low, high], both inclusive. */
export type ByteRange = readonly [low: number, high: number];

const LAST_OF_LENGTH = [0x7f, 0x7ff, 0xffff, 0x10ffff];
const [FIRST_TAIL, LAST_TAIL] = [0x80, 0xbf];

/** The UTF-8 of a range of code points (none of them a surrogate), as sequences of byte ranges. */
export function utf8Sequences([from, to]: CharRange): ByteRange[][] {
  const sequences: ByteRange[][] = [];
  let low = from;
  for (const last of LAST_OF_LENGTH) {
    if (low > last || low > to) continue;
    const high = Math.min(last, to);
    sequences.push(...between(utf8Bytes(low), utf8Bytes(high)));
    low = high + 1;
  }
  return sequences;
}

export function utf8Bytes(codePoint: number): number[] {
  const tail = (shift: number): number => FIRST_TAIL | ((codePoint >> shift) & 0x3f);
  if (codePoint <= 0x7f) return [codePoint];
  if (codePoint <= 0x7ff) return [0xc0 | (codePoint >> 6), tail(0)];
  if (codePoint <= 0xffff) return [0xe0 | (codePoint >> 12), tail(6), tail(0)];
  return [0xf0 | (codePoint >> 18), tail(12), tail(6), tail(0)];
}

/** All byte strings of one length from `low` to `high`, in the order of UTF-8. */
function between(low: readonly number[], high: readonly number[]): ByteRange[][] {
  const [[first = 0, ...lowRest], [last = 0, ...highRest]] = [low, high];
  if (lowRest.length === 0) return [[[first, last]]];
  const prefixed = (byte: number, rests: ByteRange[][]): ByteRange[][] =>
    rests.map((rest) => [[byte, byte], ...rest]);
  if (first === last) return prefixed(first, between(lowRest, highRest));
  const isLowWhole = lowRest.every((byte) => byte === FIRST_TAIL);
  const isHighWhole = highRest.every((byte) => byte === LAST_TAIL);
  const lowest = lowRest.map(() => FIRST_TAIL);
  const highest = lowRest.map(() => LAST_TAIL);
  const [wholeFrom, wholeTo] = [isLowWhole ? first : first + 1, isHighWhole ? last : last - 1];
  const anyTail = lowRest.map((): ByteRange => [FIRST_TAIL, LAST_TAIL]);
  return [
    ...(isLowWhole ? [] : prefixed(first, between(lowRest, highest))),
    ...(wholeFrom <= wholeTo ? [[[wholeFrom, wholeTo] as const, ...anyTail]] : []),
    ...(isHighWhole ? [] : prefixed(last, between(lowest, highRest))),
  ];
}
