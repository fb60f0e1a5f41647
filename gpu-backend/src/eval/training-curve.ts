import { existsSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import * as echarts from 'echarts';
import { FlagError, numberFlag, parseFlags, runCommand, stringFlag, wholeNumber } from '../cli/flags.ts';
import type { Curve, Loss, LogPoint } from './training-log.ts';
import { curveOf, readTrainingLog, thinOut } from './training-log.ts';

const HELP = `npm run curves -- --out FILE.svg RUN [RUN ...]      draws the training curves of runs

  RUN             a name in .runs, or a folder with the trainer's log.jsonl
  --title TEXT    what stands above the curves
  --width N       default 900        --height N   default 460`;

export interface Run {
  name: string;
  points: readonly LogPoint[];
}

export interface PictureOptions {
  title?: string;
  width: number;
  height: number;
}

/** More points than this can't be seen at this width. */
const MAX_POINTS = 200;
/** Okabe and Ito's colours, which people with any colour vision tell apart. */
const COLOURS = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9'];

/** A line for the training loss and dots for the same loss on held-out text, in one colour. */
const LOSSES: readonly { label: string; training: Loss; heldOut: Loss }[] = [
  { label: 'AR', training: 'arLoss', heldOut: 'validArLoss' },
  { label: 'diffusion', training: 'diffusionLoss', heldOut: 'validDiffusionLoss' },
];

/** Draws the losses of runs over the tokens that they saw: training as lines, held-out text as dots. */
export function drawTrainingCurves(runs: readonly Run[], { title, width, height }: PictureOptions): string {
  const chart = echarts.init(null, null, { renderer: 'svg', ssr: true, width, height });
  try {
    chart.setOption({
      animation: false,
      backgroundColor: '#ffffff',
      ...(title === undefined ? {} : { title: { text: title, left: 'center' } }),
      legend: { bottom: 0, itemGap: 24 },
      grid: { left: 70, right: 30, top: title === undefined ? 20 : 50, bottom: 100 },
      xAxis: { type: 'value', name: 'million tokens', nameLocation: 'middle', nameGap: 28 },
      yAxis: { type: 'log', logBase: 2, name: 'loss (nats a token)', nameLocation: 'middle', nameGap: 45 },
      series: runs.flatMap((run, index) => seriesOf(run, index, runs.length > 1)),
    });
    return chart.renderToSVGString();
  } finally {
    chart.dispose();
  }
}

function seriesOf({ name, points }: Run, index: number, isOneOfMany: boolean): echarts.SeriesOption[] {
  const series = LOSSES.flatMap(({ label, training, heldOut }, i): echarts.SeriesOption[] => {
    const title = isOneOfMany ? `${name}: ${label}` : label;
    const color = COLOURS[(index * LOSSES.length + i) % COLOURS.length];
    const line = thinOut(curveOf(points, training), MAX_POINTS);
    const dots = curveOf(points, heldOut);
    return [
      {
        type: 'line',
        name: `${title}, training`,
        data: line,
        color,
        symbol: 'none',
        lineStyle: { width: 1.5 },
      },
      { type: 'scatter', name: `${title}, held out`, data: dots, color, symbolSize: 6 },
    ];
  });
  return series.filter(({ data }) => (data as Curve).length > 0);
}

function readRun(nameOrFolder: string): Run {
  const folder = existsSync(path.join(nameOrFolder, 'log.jsonl'))
    ? nameOrFolder
    : path.join('.runs', nameOrFolder);
  const log = path.join(folder, 'log.jsonl');
  if (!existsSync(log)) throw new FlagError(`there is no ${log}: name a run in .runs, or its folder.`);
  return { name: path.basename(folder), points: readTrainingLog(log) };
}

const TEXT = { type: 'string' } as const;
const PIXELS = wholeNumber(100, 10_000);

function main(): void {
  const flags = parseFlags(process.argv.slice(2), {
    ...{ out: TEXT, title: TEXT, width: TEXT, height: TEXT, help: { type: 'boolean', short: 'h' } },
  });
  if (flags.values['help'] === true) {
    console.log(HELP);
    return;
  }
  const out = stringFlag(flags, 'out');
  const runs = flags.positionals;
  if (out === undefined || runs.length === 0) throw new FlagError('Give --out FILE.svg and a run.');
  const title = stringFlag(flags, 'title');
  const size = {
    width: numberFlag(flags, 'width', 900, PIXELS),
    height: numberFlag(flags, 'height', 460, PIXELS),
  };
  writeFileSync(
    out,
    drawTrainingCurves(runs.map(readRun), { ...(title === undefined ? {} : { title }), ...size }),
  );
}

if (import.meta.main) await runCommand('curves', async () => main());
