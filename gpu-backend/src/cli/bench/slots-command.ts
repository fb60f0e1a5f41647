import { DEVICES, RUNTIME_VERSION } from '../../device/open.ts';
import { FlagError, numberFlag } from '../flags.ts';
import type { ParsedFlags } from '../flags.ts';
import { COMMON_HELP, commonFlags, listFlag, machine, showProgress, table } from './command.ts';
import type { BenchCommand, BenchOutput, CommonFlags } from './command.ts';
import { drawCurves } from './plot.ts';
import { benchSlots } from './slots.ts';
import type { SlotCost, SlotOptions, SlotResult } from './slots.ts';
import { openSubject } from './subject.ts';
import type { Subject } from './subject.ts';

const ROWS = [2, 4, 8, 16, 24, 32, 48, 64, 96, 128, 272];

export const SLOTS: BenchCommand = {
  help: `What a pass costs by rows, sequences and context, on both devices in turns; what sampling and planning cost.

  npm run bench -- slots     the demo model, and a vocabulary of 131,072

  --rows L           rows of a pass (${ROWS.join(',')})
  --sequences L      that share them; planning too (1,8,32)
  --contexts L       columns of each cache (256,1024)
  --time-limit S     of each model's curves (60)
${COMMON_HELP}

The last line is: c-api/node-binding R.RR (the median of all ratios of milliseconds)`,
  options: {
    rows: { type: 'string' },
    sequences: { type: 'string' },
    contexts: { type: 'string' },
    'time-limit': { type: 'string' },
  },
  run: runSlots,
};

async function runSlots(flags: ParsedFlags): Promise<BenchOutput> {
  const common = commonFlags(flags);
  if (flags.values['device'] !== undefined)
    throw new FlagError('slots measures all devices side by side: leave --device out.');
  const seconds = { expected: 'seconds, 0 or more', isWanted: (x: number) => x >= 0 };
  const options: SlotOptions = {
    numThreads: common.numThreads,
    rows: listFlag(flags, 'rows', ROWS, 4096),
    sequences: listFlag(flags, 'sequences', [1, 8, 32], 256),
    contexts: listFlag(flags, 'contexts', [256, 1024], 65_536),
    timeLimitMs: 1000 * numberFlag(flags, 'time-limit', 60, seconds),
    onProgress: showProgress,
  };
  const results: SlotResult[] = [];
  for (const subject of subjectsOf(common)) results.push(await benchSlots(subject, options));
  const where = machine(common).replace(/;.*/, `; onnxruntime ${RUNTIME_VERSION}`);
  return {
    text: [where, ...results.flatMap(report), '', lastLine(results)].join('\n'),
    json: { machine: where, results, lastLine: lastLine(results) },
    draw: (title) => draw(results, title, where),
  };
}

/** The model that is named, or the demo model and a large vocabulary. */
function subjectsOf(common: CommonFlags): Subject[] {
  const isNamed = common.shape !== undefined || common.modelPath !== undefined;
  return isNamed
    ? [openSubject(common)]
    : [openSubject(common), openSubject({ ...common, shape: 'vocab131k' })];
}

function report({ label, costs, sampling, planning }: SlotResult): string[] {
  return [
    '',
    label,
    '',
    ...table(
      ['columns', 'sequences', 'rows', ...DEVICES.map((device) => `${device}, ms`), 'ratio'],
      costs.map(costLine),
    ),
    '',
    ...table(
      ['a draw', 'vocabulary', 'candidates', 'µs/row', 'read whole'],
      sampling.map((one) => [
        one.settings,
        String(one.vocabSize),
        one.numCandidates === 0 ? 'whole rows' : String(one.numCandidates),
        one.microsecondsPerRow.toFixed(2),
        `${(100 * one.fullReadShare).toFixed(0)}%`,
      ]),
    ),
    '',
    ...table(
      ['a plan', 'µs/pass', 'of a pass of ms'],
      planning.map((one) => [
        `${one.numSequences} sequence(s)`,
        one.microseconds.toFixed(1),
        one.msPerForward.toFixed(2),
      ]),
    ),
  ];
}

function costLine({ numRows, numSequences, numContextTokens, byDevice }: SlotCost): string[] {
  return [
    String(numContextTokens),
    String(numSequences),
    String(numRows),
    ...DEVICES.map((device) => {
      const { median, low, high } = byDevice[device];
      const range = Number.isFinite(low) ? ` (${low.toFixed(2)} to ${high.toFixed(2)})` : '';
      return `${median.toFixed(3)}${range}`;
    }),
    ratioOf({ byDevice }).toFixed(2),
  ];
}

function ratioOf({ byDevice }: Pick<SlotCost, 'byDevice'>): number {
  return byDevice['c-api'].median / byDevice['node-binding'].median;
}

function lastLine(results: readonly SlotResult[]): string {
  const ratios = results.flatMap(({ costs }) => costs.map(ratioOf)).sort((a, b) => a - b);
  return `c-api/node-binding ${(ratios[ratios.length >> 1] ?? NaN).toFixed(2)}`;
}

/** Each model's curve over rows, one sequence and the least context, relative to two rows. */
function draw(results: readonly SlotResult[], title: string, subtitle: string): string {
  const curves = results.flatMap(({ label, costs }) =>
    DEVICES.map((device) => {
      const [first] = costs;
      const own = costs.filter(
        (cost) => cost.numSequences === 1 && cost.numContextTokens === first?.numContextTokens,
      );
      const unit = own[0]?.byDevice[device].median ?? NaN;
      return {
        name: `${label.split(',')[0]}, ${device}`,
        points: own.map(({ numRows, byDevice }) => {
          const { median, low, high } = byDevice[device];
          return { x: numRows, y: median / unit, low: low / unit, high: high / unit };
        }),
      };
    }),
  );
  const axes = { xName: 'rows', xScale: 'log', yName: 'ms ÷ those of two rows', yScale: 'log' } as const;
  return drawCurves(curves, { title, subtitle, ...axes });
}
