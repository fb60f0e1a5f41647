import type { UsageRow } from './schemas.ts';

export const MEASURES = {
  completion_tokens: 'Completion tokens',
  prompt_tokens: 'Prompt tokens',
  num_requests: 'Requests',
  num_forward_passes: 'Forward passes',
  cost_nanos: 'Cost',
} as const;
export type Measure = keyof typeof MEASURES;

/** More parts than a chart has colours for are shown as one. */
export const NUM_COLOURS = 6;
const OTHERS = 'others';

/** What a chart tells apart. */
export type Part = 'key' | 'model';

/** A day's values, one for each part of the chart. */
export interface Day {
  readonly day: string;
  readonly values: readonly number[];
  readonly total: number;
}

export interface DaySeries {
  /** The largest first. */
  readonly parts: readonly string[];
  /** Every day of the range, the first first; days without use have zeros. */
  readonly days: readonly Day[];
}

const MOST_DAYS = 366;

/** What was used on each day, apart by what `nameOf` says. */
export function seriesOf(
  rows: readonly UsageRow[],
  measure: Measure,
  nameOf: (row: UsageRow) => string,
  [from, to]: readonly [from: string, to: string],
): DaySeries {
  const totals = sumsBy(rows, measure, nameOf);
  const names = [...totals.keys()].sort((one, other) => (totals.get(other) ?? 0) - (totals.get(one) ?? 0));
  const isTooMany = names.length > NUM_COLOURS;
  const shown = isTooMany ? names.slice(0, NUM_COLOURS - 1) : names;
  const partOf = (row: UsageRow): string => (shown.includes(nameOf(row)) ? nameOf(row) : OTHERS);
  const parts = isTooMany ? [...shown, OTHERS] : shown;
  const values = sumsBy(rows, measure, (row) => `${row.day ?? ''} ${partOf(row)}`);
  const days = daysBetween(from, to).map((day) => {
    const ofParts = parts.map((part) => values.get(`${day} ${part}`) ?? 0);
    return { day, values: ofParts, total: ofParts.reduce((sum, value) => sum + value, 0) };
  });
  return { parts, days };
}

function sumsBy(
  rows: readonly UsageRow[],
  measure: Measure,
  nameOf: (row: UsageRow) => string,
): Map<string, number> {
  const sums = new Map<string, number>();
  for (const row of rows) sums.set(nameOf(row), (sums.get(nameOf(row)) ?? 0) + row[measure]);
  return sums;
}

/** Both included; at most a year, the last one. */
export function daysBetween(from: string, to: string): string[] {
  const last = Date.parse(to);
  const days: string[] = [];
  for (let at = last; at >= Date.parse(from) && days.length < MOST_DAYS; at -= 86_400_000) {
    days.push(new Date(at).toISOString().slice(0, 10));
  }
  return days.reverse();
}

/** The parts of a whole, the largest first. */
export function sharesOf(
  rows: readonly UsageRow[],
  measure: Measure,
  nameOf: (row: UsageRow) => string,
): { readonly name: string; readonly value: number }[] {
  return rows
    .map((row) => ({ name: nameOf(row), value: row[measure] }))
    .sort((one, other) => other.value - one.value || one.name.localeCompare(other.name));
}
