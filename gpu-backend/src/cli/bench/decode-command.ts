import { PLAIN_SAMPLING } from '../../engine/sampling/settings.ts';
import { FlagError, numberFlag, wholeNumber } from '../flags.ts';
import type { ParsedFlags } from '../flags.ts';
import { CEILING_DEFINITION } from './ceiling.ts';
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
import { benchDecode } from './decode.ts';
import type { DecodeOptions, DecodeResult, DecoderResult } from './decode.ts';
import { showInterval } from './interval.ts';
import { drawBars } from './plot.ts';
import type { Bar } from './plot.ts';
import { openLaw, openSingleRow, openSubject, subjectPrompts } from './subject.ts';

const MAX_DRAFT_LENGTH = 64;

export const DECODE: BenchCommand = {
  help: `One text at a time: plain decoding, the dense plan, the other plans and auto, taking turns prompt by prompt.

  npm run bench -- decode

  --prompts N        held-out questions (20), or texts of a shape (4)
  --max-tokens N     length of an answer at most (128), of a shape's text (64)
  --draft-lengths L  of the dense plan; the last one also for the other plans and for t/nfe (4,8,16)
  --temperature X    0 to 2 (0); above 0 with keyed noise, seed 1
  --within X         stop when every speed-up's 95% interval is within this share (0.02)
  --time-limit S     or after so many seconds of rounds (300)
${COMMON_HELP}

The last line is: tidar/ar R.RR  t/nfe T.TT  plan/dense P.PP  efficiency E.EE
tidar is auto, ar is plain decoding with a single row, plan/dense is auto's tokens/s ÷ the best dense plan's, and
efficiency is R ÷ auto's own tokens per forward. All of it is after prefill.`,
  options: {
    ...PRECISION_OPTIONS,
    prompts: { type: 'string' },
    'max-tokens': { type: 'string' },
    'draft-lengths': { type: 'string' },
    temperature: { type: 'string' },
  },
  run: runDecode,
};

async function runDecode(flags: ParsedFlags): Promise<BenchOutput> {
  const common = commonFlags(flags);
  const isShape = common.shape !== undefined;
  const temperature = numberFlag(flags, 'temperature', 0, {
    expected: 'a number from 0 to 2',
    isWanted: (x) => x >= 0 && x <= 2,
  });
  if (isShape && temperature > 0)
    throw new FlagError('--temperature needs a model: replayed acceptance is that of greedy text.');
  const numPrompts = numberFlag(flags, 'prompts', isShape ? 4 : 20, wholeNumber(1, 64));
  const maxTokens = numberFlag(flags, 'max-tokens', isShape ? 64 : 128, wholeNumber(2));
  const draftLengths = listFlag(flags, 'draft-lengths', [4, 8, 16], MAX_DRAFT_LENGTH);
  const precision = precisionFlags(flags, 300);
  const subject = openSubject(common);
  const prompts = subjectPrompts(subject, numPrompts);
  const law = await openLaw(subject, common);
  const singleRow = await openSingleRow(subject, common);
  const options: DecodeOptions = {
    ...precision,
    prompts,
    draftLengths,
    maxTokens,
    sampling: { ...PLAIN_SAMPLING, temperature, seed: 1n },
    trace: subject.trace,
    onProgress: showProgress,
  };
  try {
    const result = await benchDecode(law, singleRow, options);
    const setting = temperature === 0 ? 'greedy' : `temperature ${temperature}, seed 1`;
    const heading = `${subject.label}: ${prompts.length} texts of at most ${maxTokens} tokens, ${setting}`;
    return {
      text: [heading, machine(common), '', ...report(result)].join('\n'),
      json: { heading, machine: machine(common), ...result },
      draw: (title) => draw(result, title, caption(heading, common)),
    };
  } finally {
    await law.session.dispose();
    await singleRow.session.dispose();
  }
}

const HEADER = [
  '',
  'tokens/s',
  'with prefill',
  'tokens/forward',
  'rows/forward',
  'ms/forward',
  '÷ ar, single row (95%)',
  'with prefill',
  'outside graph',
  'by slot curve',
  'nats/token',
];

function report(result: DecodeResult): string[] {
  const { contenders, numRounds, stoppedBy, numTexts, numOtherTexts, slotCurve, numColumns, ceiling } =
    result;
  const curve = slotCurve.map(({ numRows, milliseconds }) => `${numRows}: ${milliseconds.toFixed(2)}`);
  const reason = stoppedBy === 'interval' ? 'every interval was narrow enough' : 'the time was up';
  return [
    ...table(HEADER, contenders.map(tableLine)),
    '',
    `${numRounds} rounds, until ${reason}. All but "with prefill" is after prefill. Outside the graph: not in the device's run.`,
    'Whatever replays a shape’s acceptance counts as outside. The planner was warmed up on the same prompts.',
    'By slot curve: tokens per forward, if a pass cost what the curve says of its average rows, and nothing else cost anything.',
    `All plans gave the same tokens as ar of the same law (two rows); a single row gave others in ${numOtherTexts} of ${numTexts} texts.`,
    `Slot curve, rows: ms (caches of ${numColumns} columns): ${curve.join(', ')}`,
    ceiling === undefined
      ? 'No ceiling: it is known for greedy text only.'
      : `Ceiling: ${ceiling.toFixed(2)} × ar, single row. ${CEILING_DEFINITION}`,
    result.lastLine,
  ];
}

function tableLine(one: DecoderResult): string[] {
  return [
    one.name,
    one.tokensPerSecond.toFixed(0),
    one.tokensPerSecondWithPrefill.toFixed(0),
    one.tokensPerForward.toFixed(2),
    one.rowsPerForward.toFixed(1),
    one.msPerForward.toFixed(2),
    showInterval(one.speedup),
    showInterval(one.speedupWithPrefill),
    `${(100 * one.shareOutside).toFixed(1)}%`,
    one.slotCurveSpeedup.toFixed(2),
    one.natsPerToken?.toPrecision(2) ?? '-',
  ];
}

function draw({ contenders, ceiling }: DecodeResult, title: string, subtitle: string): string {
  const bars: Bar[] = contenders.map(({ name, speedup: { median, low, high } }) => ({
    name,
    y: median,
    low,
    high,
  }));
  if (ceiling !== undefined) bars.push({ name: 'ceiling', y: ceiling });
  return drawBars(bars, { title, subtitle, yName: 'speed ÷ ar, single row', width: PICTURE_WIDTH });
}
