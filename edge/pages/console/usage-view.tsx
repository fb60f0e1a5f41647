import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import type { DayPlot } from './day-plot.ts';
import { dayAgo, number, units } from './format.ts';
import { knownKeys, learnNames, nameOf } from './keys.ts';
import { Bar, Empty, Needs, numeric, Problem, Table, ViewHead, Waiting } from './parts.tsx';
import { linkTo } from './route.ts';
import { type UsageRow, usageListSchema } from './schemas.ts';
import { admin } from './session.ts';
import {
  type DaySeries,
  MEASURES,
  type Measure,
  NUM_COLOURS,
  type Part,
  seriesOf,
  sharesOf,
} from './usage-data.ts';
import { useAnswer } from './use-answer.ts';

const RANGES = [7, 30, 90] as const;
const MOST_ROWS = 10_000;

interface Wanted {
  readonly days: number;
  readonly keyId: string;
  readonly model: string;
  readonly measure: Measure;
  readonly part: Part;
}

const NAMES: Readonly<Record<Part, (row: UsageRow) => string>> = {
  key: ({ key_id: id = '' }) => nameOf(id),
  model: ({ model = '' }) => model,
};

/** What was used, by day, key and model. */
export function UsageView(): JSX.Element {
  return (
    <>
      <ViewHead title="Usage" />
      <Needs scope="usage:read">
        <Usage />
      </Needs>
    </>
  );
}

/** What was answered, and to which question: it is shown until the next answer is there. */
interface Parts {
  readonly days: number;
  readonly part: Part;
  readonly from: string;
  readonly to: string;
  readonly byDay: UsageRow[];
  readonly byKey: UsageRow[];
  readonly byModel: UsageRow[];
  readonly models: string[];
}

async function readUsage({ days, keyId, model, part }: Wanted, signal: AbortSignal): Promise<Parts> {
  const [from, to] = [dayAgo(days - 1), dayAgo(0)];
  const rows = async (group: string, isFiltered = true): Promise<UsageRow[]> => {
    const query = new URLSearchParams({ group, from, to, limit: String(MOST_ROWS) });
    if (isFiltered && keyId !== '') query.set('key', keyId);
    if (isFiltered && model !== '') query.set('model', model);
    return (await admin(usageListSchema, `/usage?${query.toString()}`, { signal })).data;
  };
  const [byDay, byKey, byModel, all] = await Promise.all([
    rows(`day,${part}`),
    rows('key'),
    rows('model'),
    rows('model', false),
    learnNames(),
  ]);
  return { days, part, from, to, byDay, byKey, byModel, models: all.map(({ model: name = '' }) => name) };
}

function Usage(): JSX.Element {
  const wanted = useSignal<Wanted>({
    days: 30,
    keyId: '',
    model: '',
    measure: 'completion_tokens',
    part: 'key',
  });
  const { days, keyId, model, measure, part } = wanted.value;
  const subject = `${days} ${keyId} ${model} ${part}`;
  const { answer, problem } = useAnswer((signal) => readUsage(wanted.value, signal), subject, 10_000);
  const show = (value: number): string => (measure === 'cost_nanos' ? units(value) : number(value));
  const total = answer?.byModel.reduce((sum, row) => sum + row[measure], 0) ?? 0;
  return (
    <>
      <Filters
        wanted={wanted.value}
        models={answer?.models ?? []}
        onChange={(next) => (wanted.value = next)}
      />
      {problem !== undefined && <Problem>{problem}</Problem>}
      {answer === undefined && problem === undefined && <Waiting />}
      {answer !== undefined && answer.byModel.length === 0 && (
        <Empty title="Nothing was used in this time.">
          Bills come here a few seconds after their requests have ended. What runs now is at{' '}
          <a href={linkTo('requests')}>Running</a>.
        </Empty>
      )}
      {answer !== undefined && answer.byModel.length > 0 && (
        <>
          <p class="total">
            <span class="figure">{show(total)}</span>{' '}
            {measure === 'cost_nanos' ? 'in the price list’s currency' : MEASURES[measure].toLowerCase()}, in{' '}
            {answer.days} days
          </p>
          <Days
            series={seriesOf(answer.byDay, measure, NAMES[answer.part], [answer.from, answer.to])}
            measure={measure}
            show={show}
          />
          <div class="columns">
            <Shares
              title="By key"
              head="Key"
              total={total}
              show={show}
              rows={sharesOf(answer.byKey, measure, NAMES.key)}
            />
            <Shares
              title="By model"
              head="Model"
              total={total}
              show={show}
              rows={sharesOf(answer.byModel, measure, NAMES.model)}
            />
          </div>
        </>
      )}
    </>
  );
}

interface FiltersProps {
  readonly wanted: Wanted;
  readonly models: readonly string[];
  readonly onChange: (wanted: Wanted) => void;
}

function Filters({ wanted, models, onChange }: FiltersProps): JSX.Element {
  const choices: [id: keyof Wanted, label: string, options: (readonly [string, string])[]][] = [
    ['measure', 'Measure', Object.entries(MEASURES)],
    ['days', 'Time', RANGES.map((days) => [String(days), `${days} days`] as const)],
    ['keyId', 'Key', [['', 'all'], ...knownKeys()]],
    ['model', 'Model', [['', 'all'], ...models.map((name) => [name, name] as const)]],
    [
      'part',
      'Apart by',
      [
        ['key', 'key'],
        ['model', 'model'],
      ],
    ],
  ];
  return (
    <div class="filters">
      {choices.map(([id, label, options]) => (
        <div class="field" key={id}>
          <label for={`usage-${id}`}>{label}</label>
          <select
            class="input"
            id={`usage-${id}`}
            value={String(wanted[id])}
            onChange={({ currentTarget: { value } }) =>
              onChange({ ...wanted, [id]: id === 'days' ? Number(value) : value })
            }
          >
            {options.map(([value, name]) => (
              <option key={value} value={value}>
                {name}
              </option>
            ))}
          </select>
        </div>
      ))}
    </div>
  );
}

interface DaysProps {
  readonly series: DaySeries;
  readonly measure: Measure;
  readonly show: (value: number) => string;
}

/** The chart is for the eye; the table below says the same. */
function Days({ series, measure, show }: DaysProps): JSX.Element {
  const box = useRef<HTMLDivElement>(null);
  const drawn = JSON.stringify([series, measure]);
  useEffect(() => {
    let plot: DayPlot | undefined;
    let isGone = false;
    void import('./day-plot.ts').then(({ dayPlot }) => {
      if (isGone || box.current === null) return;
      plot = dayPlot(box.current, series, measure === 'cost_nanos' ? 1_000_000_000 : 1);
    });
    return () => {
      isGone = true;
      plot?.dispose();
    };
  }, [drawn]);
  const used = series.days.filter(({ total }) => total > 0).reverse();
  return (
    <figure class="card days">
      <figcaption class="row">
        <h2>By day</h2>
        <ul class="legend">
          {series.parts.map((part, index) => (
            <li key={part}>
              <span class={`swatch series-${index % NUM_COLOURS}`} aria-hidden="true" />
              {part}
            </li>
          ))}
        </ul>
      </figcaption>
      <div ref={box} class="plot" aria-hidden="true" />
      <details>
        <summary>The same as a table</summary>
        <Table label="Usage by day" heads={['Day (UTC)', ...series.parts.map(numeric), numeric('Together')]}>
          {used.map(({ day, values, total }) => (
            <tr key={day}>
              <th scope="row" class="nowrap">
                {day}
              </th>
              {values.map((value, index) => (
                <td class="number" key={series.parts[index]}>
                  {show(value)}
                </td>
              ))}
              <td class="number">{show(total)}</td>
            </tr>
          ))}
        </Table>
      </details>
    </figure>
  );
}

interface SharesProps {
  readonly title: string;
  readonly head: string;
  readonly total: number;
  readonly show: (value: number) => string;
  readonly rows: readonly { readonly name: string; readonly value: number }[];
}

const MOST_SHARES = 20;

function Shares({ title, head, total, show, rows }: SharesProps): JSX.Element {
  const rest = rows.slice(MOST_SHARES);
  return (
    <section class="card">
      <h2>{title}</h2>
      <Table label={`Usage ${title.toLowerCase()}`} heads={[head, numeric('Used'), 'Share']}>
        {rows.slice(0, MOST_SHARES).map(({ name, value }) => (
          <tr key={name}>
            <th scope="row">{name}</th>
            <td class="number">{show(value)}</td>
            <td class="share">
              <Bar part={value} whole={total} />
              <span class="soft">{total > 0 ? `${((100 * value) / total).toFixed(1)}%` : '–'}</span>
            </td>
          </tr>
        ))}
      </Table>
      {rest.length > 0 && (
        <p class="soft">
          and {rest.length} more, together {show(rest.reduce((sum, { value }) => sum + value, 0))}
        </p>
      )}
    </section>
  );
}
