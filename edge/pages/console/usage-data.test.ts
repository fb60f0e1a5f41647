import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { UsageRow } from './schemas.ts';
import { daysBetween, NUM_COLOURS, seriesOf } from './usage-data.ts';

const FROM = '2026-10-26';
const TO = '2026-11-24';
const rows = fc.array(
  fc.record({
    model: fc.constantFrom(...'abcdefghij'),
    day: fc.constantFrom(...daysBetween(FROM, TO)),
    completion_tokens: fc.nat(1_000_000),
  }),
);
const asRow = (some: Pick<UsageRow, 'completion_tokens'>): UsageRow => ({
  num_requests: 1,
  prompt_tokens: 0,
  cached_tokens: 0,
  num_forward_passes: 0,
  cost_nanos: 0,
  rule_loss_tokens: 0,
  ...some,
});
const modelOf = ({ model = '' }: UsageRow): string => model;

describe('the series of a chart', () => {
  it('are together what was used on each day, whatever is told apart and however much of it there is', () => {
    fc.assert(
      fc.property(rows, (some) => {
        const given = some.map(asRow);
        const { parts, days } = seriesOf(given, 'completion_tokens', modelOf, [FROM, TO]);
        expect(days.map(({ day }) => day)).toEqual(daysBetween(FROM, TO));
        for (const { day, values, total } of days) {
          const used = given.filter((row) => row.day === day);
          expect(total).toBe(used.reduce((sum, row) => sum + row.completion_tokens, 0));
          expect(values).toHaveLength(parts.length);
          expect(values.reduce((sum, value) => sum + value, 0)).toBe(total);
        }
        expect(parts.length).toBe(Math.min(NUM_COLOURS, new Set(given.map(modelOf)).size));
      }),
    );
  });

  it('have every day of their time once, over the ends of months and years', () => {
    expect(daysBetween('2027-12-30', '2028-01-02')).toEqual([
      '2027-12-30',
      '2027-12-31',
      '2028-01-01',
      '2028-01-02',
    ]);
    expect(daysBetween('2028-02-28', '2028-03-01')).toEqual(['2028-02-28', '2028-02-29', '2028-03-01']);
  });
});
