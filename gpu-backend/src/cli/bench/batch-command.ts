import { numberFlag, wholeNumber } from '../flags.ts';
import type { ParsedFlags } from '../flags.ts';
import { benchBatches } from './batch.ts';
import type { BatchCell, BatchOptions } from './batch.ts';
import {
  caption,
  COMMON_HELP,
  commonFlags,
  listFlag,
  machine,
  PICTURE_WIDTH,
  PRECISION_OPTIONS,
  precisionFlags,
  showProgress,
  table,
} from './command.ts';
import type { BenchCommand, BenchOutput } from './command.ts';
import { plannerPoints } from './contenders.ts';
import { relativeHalfWidth, showInterval } from './interval.ts';
import { drawCurves } from './plot.ts';
import { openLaw, openSingleRow, openSubject, subjectPrompts, textLabel, withText } from './subject.ts';
import type { Measured, Subject, TextKind } from './subject.ts';

const KINDS: readonly TextKind[] = ['in-domain', 'nothing'];
const MOST_SEQUENCES = 256;

export const BATCH: BenchCommand = {
  help: `Many texts at once in one engine, kept full: auto against plain decoding, where drafts fare well and where none does.

  npm run bench -- batch

  --batches L        numbers of sequences (1,2,4,8,16,32)
  --prompts N        held-out questions (20), or texts of a shape (32); they come round again
  --max-tokens N     length of an answer at most (96), of a shape's text (64)
  --draft-length N   the most that auto drafts (16)
  --within X         for each cell: until the ratio's 95% interval is within this share (0.02)
  --time-limit S     or after so many seconds (60)
${COMMON_HELP}

The last line is: worst tidar/ar R.RR ±C (of all cells; tidar is auto, ar is plain decoding of the same law, two rows)`,
  options: {
    ...PRECISION_OPTIONS,
    batches: { type: 'string' },
    prompts: { type: 'string' },
    'max-tokens': { type: 'string' },
    'draft-length': { type: 'string' },
  },
  run: runBatch,
};

async function runBatch(flags: ParsedFlags): Promise<BenchOutput> {
  const common = commonFlags(flags);
  const isShape = common.shape !== undefined;
  const precision = precisionFlags(flags, 60);
  const batches = listFlag(flags, 'batches', [1, 2, 4, 8, 16, 32], MOST_SEQUENCES);
  const numPrompts = numberFlag(flags, 'prompts', isShape ? 32 : 20, wholeNumber(1, 64));
  const maxTokens = numberFlag(flags, 'max-tokens', isShape ? 64 : 96, wholeNumber(2));
  const draftLength = numberFlag(flags, 'draft-length', 16, wholeNumber(1, 64));
  const subject = openSubject(common);
  const prompts = subjectPrompts(subject, numPrompts);
  const law = await openLaw(subject, common);
  const singleRow = await openSingleRow(subject, common);
  try {
    const options: BatchOptions = {
      ...precision,
      prompts,
      batches,
      maxTokens,
      draftLength,
      plannerPoints: await plannerPoints(law),
      onProgress: showProgress,
    };
    const cells: BatchCell[] = [];
    for (const kind of KINDS) {
      // Plain decoding reads no mask: one session of single rows does for both.
      cells.push(...(await benchBatches(kind, { law: onText(law, subject, kind), singleRow }, options)));
    }
    const heading = `${subject.label}: batches of texts of at most ${maxTokens} tokens, greedy`;
    const lines = report(cells, subject, precision.within);
    return {
      text: [heading, machine(common), ...lines].join('\n'),
      json: { heading, machine: machine(common), cells, lastLine: lastLine(cells) },
      draw: (title) => draw(cells, title, caption(heading, common)),
    };
  } finally {
    await law.session.dispose();
    await singleRow.session.dispose();
  }
}

function onText({ timed }: Measured, subject: Subject, kind: TextKind): Measured {
  return { timed, session: withText(timed, subject, kind) };
}

const HEADER = [
  'sequences',
  '',
  'tokens/s',
  'no prefill',
  'tokens/forward',
  'rows/forward',
  'ms/forward',
  'outside graph',
  'planning µs',
  'auto ÷ it (95%)',
];

function report(cells: readonly BatchCell[], subject: Subject, within: number): string[] {
  const percent = (100 * within).toFixed(0);
  return [
    ...KINDS.flatMap((kind) => {
      const own = cells.filter((cell) => cell.kind === kind);
      return [
        '',
        `${kind === 'nothing' ? 'Drafts of no use' : 'In-domain'}: ${textLabel(subject, kind)}`,
        ...table(HEADER, own.flatMap(tableLines)),
      ];
    }),
    '',
    'Tokens/s are of all sequences together, from when all are past prefill to when a place stays empty; prompts that join',
    'are part of it ("no prefill": passes in which none did). Tokens per forward are of one sequence, after prefill; rows, ms and planning of the whole pass.',
    ...cells.filter(({ stoppedBy }) => stoppedBy !== 'interval').map((cell) => wide(cell, percent)),
    lastLine(cells),
  ];
}

function wide({ kind, batch, autoToAr, numRounds }: BatchCell, percent: string): string {
  const reached = 100 * relativeHalfWidth(autoToAr);
  const told = Number.isFinite(reached) ? `±${reached.toFixed(1)}%` : `${numRounds} rounds, too few to tell`;
  return `The time was up before ±${percent}%: ${kind}, ${batch} sequence(s), ${told}.`;
}

function tableLines({ batch, contenders, autoToAr, autoToSingleRow, numRounds }: BatchCell): string[][] {
  const ratios = [showInterval(autoToSingleRow), showInterval(autoToAr), `${numRounds} rounds`];
  return contenders.map((one, at) => [
    at === 0 ? String(batch) : '',
    one.name,
    one.tokensPerSecond.toFixed(0),
    one.tokensPerSecondPure.toFixed(0),
    one.tokensPerForward.toFixed(2),
    one.rowsPerForward.toFixed(1),
    one.msPerForward.toFixed(2),
    `${(100 * one.shareOutside).toFixed(1)}%`,
    one.planningUsPerForward.toFixed(1),
    ratios[at] ?? '',
  ]);
}

function lastLine(cells: readonly BatchCell[]): string {
  const [worst] = cells.toSorted((a, b) => a.autoToAr.median - b.autoToAr.median);
  return `worst tidar/ar ${worst === undefined ? '?' : showInterval(worst.autoToAr)}`;
}

function draw(cells: readonly BatchCell[], title: string, subtitle: string): string {
  const curves = KINDS.map((kind) => ({
    name: kind === 'nothing' ? 'nothing accepted' : kind,
    points: cells
      .filter((cell) => cell.kind === kind)
      .map(({ batch, autoToAr: { median, low, high } }) => ({ x: batch, y: median, low, high })),
  }));
  const picture = {
    title,
    subtitle,
    width: PICTURE_WIDTH,
    xName: 'sequences',
    xScale: 'log',
    yName: 'auto ÷ ar, same law',
  } as const;
  return drawCurves(curves, picture);
}
