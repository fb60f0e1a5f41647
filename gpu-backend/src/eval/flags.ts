import { MAX_DRAFT_LENGTH } from '@tidar/shared/decoder.ts';
import {
  assertNoStray,
  FlagError,
  listFlag,
  numberFlag,
  numbersFlag,
  oneOf,
  parseFlags,
  stringFlag,
  wholeNumber,
} from '../cli/flags.ts';
import { DEVICE_FLAGS, DEVICE_FLAGS_HELP, parseDeviceFlags } from '../cli/device-flags.ts';
import type { DeviceChoices } from '../cli/device-flags.ts';
import type { ParsedFlags } from '../cli/flags.ts';
import { DEMO_MODEL } from '../cli/open-model.ts';
import { QUANTIZATIONS } from '../model/quantization/scheme.ts';
import type { Quantization } from '../model/quantization/scheme.ts';
import type { Limits } from './run.ts';

const FULL: Limits = { table: 30, headline: 100 };
const QUICK: Limits = { table: 4, headline: 16 };
const COMPARED: Limits = { table: 25, headline: 25 };

export const EVAL_HELP = `npm run eval -- [options]      the paper's comparison on any model folder: scores, tokens per forward, speed

  --model FOLDER          default gpu-backend/models/demo
  --ar-only FOLDER        a baseline of the same architecture, trained without masks
  --draft-model FOLDER    a small model with the same tokenizer, for speculative decoding
                          (default of both: gpu-backend/models/demo-ar-only and demo-draft, if they are there)
  --tasks FILE            a tasks.json of your own (default gpu-backend/tasks/tasks.json)
  --task FILE:TYPE        a file of JSON lines in place of tasks.json; repeatable. TYPE is exact[:EXTRACTOR],
                          code[:CHECKER], choices, perplexity or json; see docs/evaluation.md
  --only a,b              only these tasks
  --rows a,b              only these rows (ar is always there): ar-only, speculative, confidence-1, threshold-0.9,
                          left-to-right, two-pass, tidar-4, tidar-8, tidar-16, tidar-auto, beta-0.5, beta-0, …
  --limit N               items of each task in the table, the first ones (${FULL.table}; --compare: ${COMPARED.table})
  --headline N            items of each task by AR-only, AR and TiDAR 16 for the last line, and by causal passes
                          (${FULL.headline}; --limit where that is given)
  --quick                 ${QUICK.table} and ${QUICK.headline} items
  --seed N                of sampled text (1)
  --temperature X         0 to 2 (0)
  --quantize NAME         int8 or int4: the model's weights in so many bits (all models of --compare)
  --threads N             threads of the forward pass (1)
${DEVICE_FLAGS_HELP}
  --run-code              lets the checkers python and javascript run what the model wrote, with your own rights
  --json FILE             everything as JSON too
  --plot PREFIX           PREFIX-quality.svg and PREFIX-trust.svg too
  --compare A,B,…         several model folders instead: score, and tokens per forward by draft length
  --draft-lengths L       of --compare (2,4,8,12,16,24)
  --fresh                 forgets what an interrupted run has done; otherwise it goes on
  --results FOLDER        where finished items are kept (.runs/eval)
  --help                  this text

Exit code 1 if TiDAR or speculative text differs from plain decoding's. The last line is
tidar score S.S  ar-only A.A  t/nfe T.TT  n N ci C.C
means over the generative tasks, of TiDAR with 16 drafts; ci is half of the score's 95% interval.`;

export interface EvalFlags extends DeviceChoices {
  readonly model: string;
  readonly arOnly: string | undefined;
  readonly draftModel: string | undefined;
  readonly tasksFile: string | undefined;
  readonly taskTexts: readonly string[];
  readonly only: readonly string[] | undefined;
  readonly rows: readonly string[] | undefined;
  readonly limits: Limits;
  readonly seed: number;
  readonly temperature: number;
  readonly quantize: Quantization | undefined;
  readonly numThreads: number;
  readonly runCode: boolean;
  readonly json: string | undefined;
  readonly plot: string | undefined;
  readonly compare: readonly string[] | undefined;
  readonly draftLengths: readonly number[];
  readonly fresh: boolean;
  readonly results: string;
  readonly help: boolean;
}

const TEXT = { type: 'string' } as const;
const SWITCH = { type: 'boolean' } as const;

export function readEvalFlags(args: readonly string[]): EvalFlags {
  const flags = parseFlags(args, {
    ...{ model: TEXT, 'ar-only': TEXT, 'draft-model': TEXT, tasks: TEXT, only: TEXT, rows: TEXT },
    ...{ task: { ...TEXT, multiple: true }, limit: TEXT, headline: TEXT, quick: SWITCH, seed: TEXT },
    ...{ temperature: TEXT, threads: TEXT, 'run-code': SWITCH, json: TEXT, plot: TEXT, compare: TEXT },
    ...{
      quantize: TEXT,
      'draft-lengths': TEXT,
      fresh: SWITCH,
      results: TEXT,
      help: { ...SWITCH, short: 'h' },
    },
    ...DEVICE_FLAGS,
  });
  assertNoStray(flags);
  const compare = listFlag(flags, 'compare');
  if (compare !== undefined) assertComparable(flags, compare);
  const temperature = { expected: 'a number from 0 to 2', isWanted: (x: number) => x >= 0 && x <= 2 };
  return {
    model: stringFlag(flags, 'model') ?? DEMO_MODEL,
    arOnly: stringFlag(flags, 'ar-only'),
    draftModel: stringFlag(flags, 'draft-model'),
    tasksFile: stringFlag(flags, 'tasks'),
    taskTexts: taskTexts(flags),
    only: listFlag(flags, 'only'),
    rows: listFlag(flags, 'rows'),
    limits: limitsOf(flags, compare !== undefined),
    seed: numberFlag(flags, 'seed', 1, wholeNumber(0)),
    temperature: numberFlag(flags, 'temperature', 0, temperature),
    quantize: oneOf(flags, 'quantize', QUANTIZATIONS),
    numThreads: numberFlag(flags, 'threads', 1, wholeNumber(1, 256)),
    ...parseDeviceFlags(flags),
    runCode: flags.values['run-code'] === true,
    json: stringFlag(flags, 'json'),
    plot: stringFlag(flags, 'plot'),
    compare,
    draftLengths: numbersFlag(
      flags,
      'draft-lengths',
      [2, 4, 8, 12, 16, 24],
      wholeNumber(1, MAX_DRAFT_LENGTH),
    ),
    fresh: flags.values['fresh'] === true,
    results: stringFlag(flags, 'results') ?? '.runs/eval',
    help: flags.values['help'] === true,
  };
}

function taskTexts({ values }: ParsedFlags): string[] {
  const given = values['task'];
  return Array.isArray(given) ? given.filter((text) => typeof text === 'string') : [];
}

function limitsOf(flags: ParsedFlags, isComparison: boolean): Limits {
  const usual = isComparison ? COMPARED : flags.values['quick'] === true ? QUICK : FULL;
  const table = numberFlag(flags, 'limit', undefined, wholeNumber(1));
  const headline = numberFlag(flags, 'headline', table ?? usual.headline, wholeNumber(1));
  return { table: table ?? usual.table, headline: Math.max(headline, table ?? usual.table) };
}

function assertComparable(flags: ParsedFlags, folders: readonly string[]): void {
  if (folders.length === 0) throw new FlagError('--compare needs model folders, separated by commas.');
  for (const name of ['model', 'ar-only', 'draft-model', 'rows', 'plot', 'headline'])
    if (flags.values[name] !== undefined) throw new FlagError(`--compare takes no --${name}.`);
}
