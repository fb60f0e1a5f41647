import { table } from '../cli/bench/command.ts';
import type { Figures, Headline, MeanFigures, RowFigures } from './figures.ts';
import { isGenerative } from './run.ts';
import type { Estimate } from './statistics.ts';
import type { Task } from './tasks/load.ts';

/** The tables as lines; the last one is for scripts. */
export function report({ rows, likelihoods, headline }: Figures, tasks: readonly Task[]): string[] {
  const judged = tasks.filter(isGenerative);
  const decoded = tasks.filter(({ spec }) => spec.type !== 'choices');
  return [
    ...(judged.length === 0 ? [] : [...scoreTable(rows, judged), '']),
    ...(decoded.length === 0 ? [] : [...speedTable(rows, decoded), '']),
    ...(likelihoods.length === 0 ? [] : [...likelihoodTable({ likelihoods }), '']),
    ...notes(rows, tasks),
    '',
    ...headlineLines(headline),
    lastLine(headline),
  ];
}

const titleOf = ({ spec }: Task): string => `${spec.title ?? spec.name}${spec.isInDomain ? '' : '*'}`;

function scoreTable(rows: readonly RowFigures[], tasks: readonly Task[]): string[] {
  const header = ['score, %', ...tasks.map(titleOf), 'mean', 'tokens/forward', 'tokens/s', '÷ AR'];
  const cells = ({ tasks: own, mean }: RowFigures): string[] => [
    ...tasks.map(({ spec }) => {
      const { score, isFree } = own[spec.name] ?? {};
      return score === undefined ? '-' : `${percent(score)}${isFree === true ? '°' : ''}`;
    }),
    mean === undefined ? '-' : meanScore(mean),
    mean === undefined ? '-' : plusMinus(mean.tokensPerForward),
    mean === undefined ? '-' : mean.tokensPerSecond.toFixed(0),
    mean?.speedup === undefined ? '-' : plusMinus(mean.speedup),
  ];
  return withRefusals(header, rows, cells);
}

function speedTable(rows: readonly RowFigures[], tasks: readonly Task[]): string[] {
  const header = ['tokens per forward (÷ AR)', ...tasks.map(titleOf)];
  const cells = ({ tasks: own }: RowFigures): string[] =>
    tasks.map(({ spec }) => {
      const figures = own[spec.name];
      if (figures === undefined) return '-';
      const speedup = figures.speedup === undefined ? '-' : figures.speedup.value.toFixed(2);
      return `${figures.tokensPerForward.value.toFixed(2)} (${speedup})`;
    });
  return withRefusals(header, rows, cells);
}

/** A row that was not run says why, in place of its figures. */
function withRefusals(
  header: readonly string[],
  rows: readonly RowFigures[],
  cells: (row: RowFigures) => string[],
): string[] {
  const run = rows.filter(({ notRun }) => notRun === undefined);
  const width = Math.max(...[header[0] ?? '', ...rows.map(({ label }) => label)].map(({ length }) => length));
  const [head = '', ...lines] = table(
    header.map((title, at) => (at === 0 ? title.padEnd(width) : title)),
    run.map((row) => [row.label.padEnd(width), ...cells(row)]),
  );
  const left = lines.values();
  return [
    head,
    ...rows.map(({ notRun, label }) =>
      notRun === undefined ? (left.next().value ?? '') : `${label.padEnd(width)}  not run: ${notRun}`,
    ),
  ];
}

function likelihoodTable({ likelihoods }: Pick<Figures, 'likelihoods'>): string[] {
  const cell = (estimate: Estimate | undefined, show: (estimate: Estimate) => string): string =>
    estimate === undefined ? '-' : show(estimate);
  return table(
    ['one causal pass', 'weights', 'items', 'right by byte, %', 'by token, %', 'bits per byte'],
    likelihoods.map(({ task, model, numItems, byByte, byToken, bitsPerByte }) => [
      task,
      model === 'main' ? 'model' : 'AR-only model',
      String(numItems),
      cell(byByte, percent),
      cell(byToken, percent),
      cell(bitsPerByte, (estimate) => plusMinus(estimate, 3)),
    ]),
  );
}

function notes(rows: readonly RowFigures[], tasks: readonly Task[]): string[] {
  const run = rows.find(({ notRun }) => notRun === undefined);
  const counts = Object.values(run?.tasks ?? {}).map(({ numItems }) => numItems);
  const isFree = rows.some(({ tasks: own }) => Object.values(own).some((one) => one.isFree));
  return [
    ...(counts.length === 0
      ? []
      : [`Items: ${counts.join(', ')}, the same for all rows; means count every task alike.`]),
    'Intervals are of 95%: Wilson’s for scores (± is the farther end), a bootstrap over items within tasks for the rest.',
    'Tokens, passes and times are those after prefill; rows take turns at each item. A draft model’s passes take time and are not counted.',
    ...(tasks.some(({ spec }) => !spec.isInDomain)
      ? ['* kinds, lengths or text that the shipped model was not trained on']
      : []),
    ...(isFree ? ['° decoded without the grammar, which this decoder does not take'] : []),
  ];
}

function headlineLines({ tidar, arOnly, difference }: Headline): string[] {
  const show = (name: string, mean: MeanFigures): string =>
    `On ${mean.numItems} items: ${name} ${meanScore(mean)}, ${plusMinus(mean.tokensPerForward)} tokens per forward.`;
  return [
    ...(tidar === undefined ? [] : [show('TiDAR 16', tidar)]),
    ...(arOnly === undefined ? [] : [show('AR-only model', arOnly)]),
    ...(difference === undefined ? [] : [differenceLine(difference)]),
  ];
}

function differenceLine({ value, low, high }: Estimate): string {
  const points = (share: number): string => `${share < 0 ? '−' : '+'}${Math.abs(100 * share).toFixed(1)}`;
  return `TiDAR’s score − the AR-only model’s, item by item: ${points(value)} points (${points(low)} to ${points(high)}).`;
}

/** TiDAR with 16 drafts; the ci is half of its score's interval. */
export function lastLine({ tidar, arOnly }: Headline): string {
  const points = (share: number | undefined): string =>
    share === undefined ? '-' : (100 * share).toFixed(1);
  return [
    `tidar score ${points(tidar?.score)}`,
    `ar-only ${points(arOnly?.score)}`,
    `t/nfe ${tidar?.tokensPerForward.value.toFixed(2) ?? '-'}`,
    `n ${tidar?.numItems ?? 0} ci ${points(tidar?.scoreHalfWidth)}`,
  ].join('  ');
}

function percent({ value, low, high }: Estimate): string {
  return `${(100 * value).toFixed(1)} ±${(100 * Math.max(value - low, high - value)).toFixed(0)}`;
}

/** In percent. */
export function meanScore({ score, scoreHalfWidth }: MeanFigures): string {
  return `${(100 * score).toFixed(1)} ±${(100 * scoreHalfWidth).toFixed(1)}`;
}

/** The farther end counts. */
export function plusMinus({ value, low, high }: Estimate, digits = 2): string {
  return `${value.toFixed(digits)} ±${Math.max(value - low, high - value).toFixed(digits)}`;
}
