import type { Expression } from '../expression.ts';
import { chars, choice, EMPTY, optional, repeat, sequence, text } from '../expression.ts';
import { ANY_INTEGER, ANY_NUMBER, DIGIT, MAX_DIGITS } from '../json.ts';
import { refuse } from '../refuse.ts';

/** A bound of a number; undefined: there is none. */
export interface Bound {
  readonly value: number;
  readonly isExclusive: boolean;
}
export interface NumberBounds {
  readonly min: Bound | undefined;
  readonly max: Bound | undefined;
}

const LARGEST = 10 ** MAX_DIGITS - 1;
const nines = (count: number): string => '9'.repeat(count);
const zeros = (count: number): string => '0'.repeat(count);
const digitRange = (from: number, to: number): Expression => chars([0x30 + from, 0x30 + to]);

export function integerBetween({ min, max }: NumberBounds): Expression {
  if (min === undefined && max === undefined) return ANY_INTEGER;
  const low = min === undefined ? -LARGEST : Math.ceil(min.value);
  const high = max === undefined ? LARGEST : Math.floor(max.value);
  const isLowTaken = min?.isExclusive === true && low === min.value;
  const isHighTaken = max?.isExclusive === true && high === max.value;
  return signed(low + (isLowTaken ? 1 : 0), high - (isHighTaken ? 1 : 0));
}

function signed(low: number, high: number): Expression {
  if (low > high) throw refuse(`No integer is between the schema's minimum and maximum (${low} to ${high}).`);
  if (Math.max(Math.abs(low), Math.abs(high)) > LARGEST) {
    throw refuse(`Minimum and maximum of an integer may have at most ${MAX_DIGITS} digits.`);
  }
  const negative = low < 0 ? [sequence(text('-'), natural(Math.max(1, -high), -low))] : [];
  return choice(...negative, ...(high >= 0 ? [natural(Math.max(0, low), high)] : []));
}

/** Integers of [low, high], both 0 or more, without leading zeros. */
function natural(low: number, high: number): Expression {
  const [first, last] = [String(low), String(high)];
  const options: Expression[] = [];
  for (let length = first.length; length <= last.length; length++) {
    const from = length === first.length ? first : `1${zeros(length - 1)}`;
    const to = length === last.length ? last : nines(length);
    options.push(sameLength(from, to));
  }
  return choice(...options);
}

/** Strings of digits of one length that are between two such. */
function sameLength(from: string, to: string): Expression {
  const length = from.length;
  if (length === 0) return EMPTY;
  if (from === zeros(length) && to === nines(length)) return repeat(DIGIT, length, length);
  const [first, last] = [Number(from[0]), Number(to[0])];
  const [fromRest, toRest] = [from.slice(1), to.slice(1)];
  if (first === last) return sequence(text(String(first)), sameLength(fromRest, toRest));
  const options = [sequence(text(String(first)), sameLength(fromRest, nines(length - 1)))];
  if (last - first > 1) {
    options.push(sequence(digitRange(first + 1, last - 1), repeat(DIGIT, length - 1, length - 1)));
  }
  return choice(...options, sequence(text(String(last)), sameLength(zeros(length - 1), toRest)));
}

/** Magnitude of a bound as decimal digits. */
interface Decimal {
  readonly whole: number;
  readonly fraction: string;
  readonly isExclusive: boolean;
}

export function numberBetween(bounds: NumberBounds): Expression {
  const { min, max } = bounds;
  if (min === undefined && max === undefined) return ANY_NUMBER;
  const isEmpty =
    min !== undefined &&
    max !== undefined &&
    (min.value > max.value || (min.value === max.value && (min.isExclusive || max.isExclusive)));
  if (isEmpty) throw refuse(`No number is between the schema's minimum and maximum.`);
  const numDecimals = decimalsFor(bounds);
  const zero: Decimal = { whole: 0, fraction: '', isExclusive: false };
  const options: Expression[] = [];
  if (min === undefined || min.value < 0) {
    const nearest = max !== undefined && max.value < 0 ? decimal(max) : { ...zero, isExclusive: true };
    options.push(...negative(magnitude(nearest, min && decimal(min), numDecimals)));
  }
  const includesZero = max === undefined || max.value > 0 || (max.value === 0 && !max.isExclusive);
  if (includesZero) {
    const low =
      min !== undefined && (min.value > 0 || (min.value === 0 && min.isExclusive)) ? decimal(min) : zero;
    options.push(
      ...[magnitude(low, max && decimal(max), numDecimals)].filter((option) => option !== undefined),
    );
  }
  if (options.length === 0)
    throw refuse(`No number of up to ${numDecimals} decimals is between minimum and maximum.`);
  return choice(...options);
}

const negative = (absolute: Expression | undefined): Expression[] =>
  absolute === undefined ? [] : [sequence(text('-'), absolute)];

/** Digits after the point, such that near a bound two different texts are two different doubles. */
function decimalsFor({ min, max }: NumberBounds): number {
  const all = [min, max].filter((bound) => bound !== undefined).map(decimal);
  const numWhole = Math.max(...all.map(({ whole }) => String(whole).length));
  const numDecimals = Math.max(...all.map(({ fraction }) => fraction.length));
  if (numWhole + numDecimals <= MAX_DIGITS) return MAX_DIGITS - numWhole;
  throw refuse(
    `Minimum and maximum of a number may have at most ${MAX_DIGITS} digits, those after the point included.`,
  );
}

function decimal({ value, isExclusive }: Bound): Decimal {
  const digits = Math.abs(value).toFixed(MAX_DIGITS + 1);
  const [whole = '0', fraction = ''] = digits.includes('e') ? [nines(MAX_DIGITS + 1)] : digits.split('.');
  const shortest = shortestFraction(Math.abs(value), fraction);
  return { whole: Number(whole), fraction: shortest, isExclusive };
}

/** toFixed shows the double's own digits; the schema meant the shortest ones that name it. */
function shortestFraction(value: number, fraction: string): string {
  for (let length = 0; length < fraction.length; length++) {
    const short = value.toFixed(length);
    if (Number(short) === value) return short.split('.')[1]?.replace(/0+$/, '') ?? '';
  }
  return fraction;
}

/** Numbers without sign from `low` up to `high`; undefined if there are none. */
function magnitude(low: Decimal, high: Decimal | undefined, numDecimals: number): Expression | undefined {
  const top = high ?? { whole: LARGEST, fraction: nines(numDecimals), isExclusive: false };
  if (low.whole > top.whole) return undefined;
  const at = (whole: number, from: Edge, to: Edge): Expression[] => {
    const fraction = fractionBetween(from, to, numDecimals);
    return fraction === undefined ? [] : [sequence(text(String(whole)), fraction)];
  };
  const from: Edge = { digits: low.fraction, isExclusive: low.isExclusive };
  const to: Edge = { digits: top.fraction, isExclusive: top.isExclusive };
  const options =
    low.whole === top.whole
      ? at(low.whole, from, to)
      : [...at(low.whole, from, 'free'), ...at(top.whole, 'free', to)];
  if (top.whole - low.whole > 1) {
    const anyFraction = optional(sequence(text('.'), repeat(DIGIT, 1, numDecimals)));
    options.push(sequence(natural(low.whole + 1, top.whole - 1), anyFraction));
  }
  return options.length === 0 ? undefined : choice(...options);
}

/** The digits that the fraction must not go past, or 'free' where an earlier digit has decided already. */
type Edge = 'free' | { readonly digits: string; readonly isExclusive: boolean };

/** ".digits" between two edges, or nothing where a whole number is between them. */
function fractionBetween(from: Edge, to: Edge, numDecimals: number): Expression | undefined {
  const digits = digitsBetween(from, to, numDecimals);
  const canBeWhole = isReached(from) && (to === 'free' || to.digits !== '' || !to.isExclusive);
  const withPoint = digits === undefined ? [] : [sequence(text('.'), digits)];
  const options = [...(canBeWhole ? [EMPTY] : []), ...withPoint];
  return options.length === 0 ? undefined : choice(...options);
}

/** Whether digits that end here are high enough. */
const isReached = (from: Edge): boolean => from === 'free' || (/^0*$/.test(from.digits) && !from.isExclusive);

/** One digit or more. */
function digitsBetween(from: Edge, to: Edge, numLeft: number): Expression | undefined {
  if (numLeft === 0) return undefined;
  if (from === 'free' && to === 'free') return repeat(DIGIT, 1, numLeft);
  const first = from === 'free' ? 0 : Number(from.digits[0] ?? 0);
  const last = to === 'free' ? 9 : Number(to.digits[0] ?? 0);
  const options: Expression[] = [];
  const add = (low: number, high: number, nextFrom: Edge, nextTo: Edge): void => {
    const isEnd = isReached(nextFrom) && (nextTo === 'free' || nextTo.digits !== '' || !nextTo.isExclusive);
    const more = digitsBetween(nextFrom, nextTo, numLeft - 1);
    const endings = [...(isEnd ? [EMPTY] : []), ...(more === undefined ? [] : [more])];
    if (low <= high && endings.length > 0) options.push(sequence(digitRange(low, high), choice(...endings)));
  };
  const nextFrom = from === 'free' ? from : { ...from, digits: from.digits.slice(1) };
  const nextTo = to === 'free' ? to : { ...to, digits: to.digits.slice(1) };
  if (from !== 'free' && to !== 'free' && first === last) add(first, first, nextFrom, nextTo);
  else {
    if (from !== 'free') add(first, first, nextFrom, 'free');
    if (to !== 'free') add(last, last, 'free', nextTo);
    add(from === 'free' ? 0 : first + 1, to === 'free' ? 9 : last - 1, 'free', 'free');
  }
  return options.length === 0 ? undefined : choice(...options);
}
