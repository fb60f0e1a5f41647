import { FlagError, numberFlag, wholeNumber } from '../flags.ts';
import type { ParsedFlags } from '../flags.ts';
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
import { benchContexts } from './context.ts';
import type { ContextCell, ContextOptions } from './context.ts';
import { plannerPoints, SAME_LAW } from './contenders.ts';
import { showInterval } from './interval.ts';
import { drawCurves } from './plot.ts';
import { replayPrompt } from './replay.ts';
import { openLaw, openSingleRow, openSubject, subjectPrompts } from './subject.ts';
import type { Subject } from './subject.ts';

const CONTEXTS = [256, 512, 1024, 2048, 4096, 8192];
const MOST_TOKENS = 65_536;

export const CONTEXT: BenchCommand = {
  help: `Short texts and long ones: plain decoding and auto, after prompts that are computed once and kept.

  npm run bench -- context --shape 100m

  --contexts L       tokens of prompt and answer (${CONTEXTS.join(',')}, as far as the model's positions go)
  --max-tokens N     of them the answer's (32)
  --draft-length N   the most that auto drafts (16)
  --within X         for each context: until the ratio's 95% interval is within this share (0.02)
  --time-limit S     or after so many seconds (60)
${COMMON_HELP}

A model's prompts are its questions strung together. The last line is: tidar/ar R.RR (TOKENS tokens) R.RR (TOKENS tokens) …
(ar of the same law, two rows)`,
  options: {
    ...PRECISION_OPTIONS,
    contexts: { type: 'string' },
    'max-tokens': { type: 'string' },
    'draft-length': { type: 'string' },
  },
  run: runContext,
};

async function runContext(flags: ParsedFlags): Promise<BenchOutput> {
  const common = commonFlags(flags);
  const precision = precisionFlags(flags, 60);
  const maxTokens = numberFlag(flags, 'max-tokens', 32, wholeNumber(2));
  const draftLength = numberFlag(flags, 'draft-length', 16, wholeNumber(1, 64));
  const wanted = listFlag(flags, 'contexts', CONTEXTS, MOST_TOKENS);
  const subject = openSubject(common);
  const { maxPositions } = subject.folder.config;
  const contexts = wanted.filter((numTokens) => numTokens > maxTokens && numTokens <= maxPositions);
  if (contexts.length === 0)
    throw new FlagError(`--contexts must be above --max-tokens (${maxTokens}) and at most ${maxPositions}.`);
  const law = await openLaw(subject, common);
  const singleRow = await openSingleRow(subject, common);
  try {
    const options: ContextOptions = {
      ...precision,
      contexts,
      maxTokens,
      draftLength,
      promptOf: (numTokens) => longPrompt(subject, numTokens),
      plannerPoints: await plannerPoints(law),
      onProgress: showProgress,
    };
    const cells = await benchContexts(law, singleRow, options);
    const heading = `${subject.label}: ${maxTokens} tokens after a prompt, greedy`;
    const left = wanted.filter((numTokens) => !contexts.includes(numTokens));
    return {
      text: [heading, machine(common), '', ...report(cells, left)].join('\n'),
      json: { heading, machine: machine(common), cells, lastLine: lastLine(cells) },
      draw: (title) => draw(cells, title, caption(heading, common)),
    };
  } finally {
    await law.session.dispose();
    await singleRow.session.dispose();
  }
}

function longPrompt(subject: Subject, numTokens: number): number[] {
  if (subject.trace !== undefined) return replayPrompt(subject.folder.config, 0, numTokens);
  const questions = subjectPrompts(subject, 20).flat();
  return Array.from({ length: numTokens }, (_, at) => questions[at % questions.length] ?? 0);
}

const HEADER = [
  'tokens',
  '',
  'ms/forward',
  'tokens/s',
  'tokens/forward',
  'rows/forward',
  'outside graph',
  'auto ÷ it (95%)',
];

function report(cells: readonly ContextCell[], left: readonly number[]): string[] {
  return [
    ...table(HEADER, cells.flatMap(tableLines)),
    '',
    'All of it after prefill. Attention reads all columns of a cache: capacities grow in steps, so costs do.',
    ...(left.length === 0 ? [] : [`Left out, for want of positions: ${left.join(', ')}.`]),
    lastLine(cells),
  ];
}

function tableLines({
  numTokens,
  contenders,
  autoToAr,
  autoToSingleRow,
  numRounds,
}: ContextCell): string[][] {
  const ratios = [showInterval(autoToSingleRow), showInterval(autoToAr), `${numRounds} rounds`];
  return contenders.map((one, at) => [
    at === 0 ? String(numTokens) : '',
    one.name,
    one.msPerForward.toFixed(2),
    one.tokensPerSecond.toFixed(1),
    one.tokensPerForward.toFixed(2),
    one.rowsPerForward.toFixed(1),
    `${(100 * one.shareOutside).toFixed(1)}%`,
    ratios[at] ?? '',
  ]);
}

function lastLine(cells: readonly ContextCell[]): string {
  const ratios = cells.map(
    ({ numTokens, autoToAr }) => `${autoToAr.median.toFixed(2)} (${numTokens} tokens)`,
  );
  return `tidar/ar ${ratios.join(' ')}`;
}

function draw(cells: readonly ContextCell[], title: string, subtitle: string): string {
  const curves = ['auto', SAME_LAW].map((name) => ({
    name,
    points: cells.map(({ numTokens, contenders }) => {
      return { x: numTokens, y: contenders.find((one) => one.name === name)?.tokensPerSecond ?? NaN };
    }),
  }));
  const axes = { xName: 'tokens of context', xScale: 'log', yName: 'tokens/s', yScale: 'value' } as const;
  return drawCurves(curves, { title, subtitle, width: PICTURE_WIDTH, ...axes });
}
