import type { UsageRow } from './schemas.ts';

export const MEASURES = {
  completion_tokens: 'Completion tokens',
  prompt_tokens: 'Prompt tokens',
  num_requests: 'Requests',
  num_forward_passes: 'Forward passes',
  cost_nanos: 'Cost',
} as const;
export type Measure = keyof typeof MEASURES;

/** A day's values, one for each model of the chart. */
export interface Day {
  readonly day: string;
  readonly values: readonly number[];
  readonly total: number;
}

export interface DaySeries {
  readonly models: readonly string[];
  /** Every day of the range, the first first; days without use have zeros. */
  readonly days: readonly Day[];
}

const MOST_DAYS = 366;

/** What was used on each day, apart by model. */
export function seriesOf(rows: readonly UsageRow[], measure: Measure, from: string, to: string): DaySeries {
  const models = [...new Set(rows.map(({ model = '' }) => model))].sort();
  const values = new Map(rows.map((row) => [`${row.day ?? ''} ${row.model ?? ''}`, row[measure]]));
  const days = daysBetween(from, to).map((day) => {
    const ofModels = models.map((model) => values.get(`${day} ${model}`) ?? 0);
    return { day, values: ofModels, total: ofModels.reduce((sum, value) => sum + value, 0) };
  });
  return { models, days };
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
