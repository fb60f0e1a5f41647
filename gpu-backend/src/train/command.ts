import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import type { z } from 'zod';
import { FlagError, numberFlag, oneOf, parseFlags, stringFlag, wholeNumber } from '../cli/flags.ts';
import type { ParsedFlags } from '../cli/flags.ts';
import type { SpecialToken } from '../data/special-tokens.ts';
import { findTokenId, parseTokenizerJson } from '../model/tokenizer.ts';
import { hasCheckpoint, loadCheckpoint } from './checkpoint.ts';
import type { Checkpoint } from './checkpoint.ts';
import { initialCheckpoint, restartedCheckpoint } from './initialize.ts';
import type { SpecialTokenIds } from './initialize.ts';
import { describeMeasured, measureTraining } from './measure.ts';
import {
  BLOCK_STARTS,
  MASK_STYLES,
  modelSizeSchema,
  ratesAgree,
  SCHEDULES,
  trainingSettingsSchema,
} from './settings.ts';
import type { TrainingSettings } from './settings.ts';

export const HELP = `npm run train -- --run NAME [options]      trains, or goes on with the run NAME

  --from RUN             start from another run's weights (train AR first, then TiDAR from it)
  --optimizer reset|keep AdamW's moments start over, or are taken from that run too; default reset
  --ar-only              plain AR training on clean tokens
  --steps N              default 2000          --batch N        default 8
  --length N             tokens of a sequence, default 256
  --block-sizes 4,8,16   one is drawn at each step, default 16
  --block-starts aligned|random   blocks begin at multiples of their size, or at an offset drawn at each step
  --mask full|random     the second half is all masks (default), or has them at random among clean tokens
  --alpha A              weight of the AR loss, default 1
  --distill W            0 to 1: how much mask rows follow the AR rows instead of the text, default 0
  --question-weight W    how much questions count in the losses, 0 to 1; default 1, all tokens alike
  --learning-rate R      default 0.002         --final-share S  default 0.1
  --schedule S           after warm-up: cosine (default), constant, or wsd, which is constant and then falls
                         in a straight line over the last --decay N steps
  --warmup N             default 100           --weight-decay D default 0.1
  --clip N               default 1             --seed N         default 1
  --hidden, --layers, --heads, --kv-heads, --intermediate, --positions   a fresh model's size
  --data FOLDER          default .runs/data (npm run data)
  --threads N            default 2
  --measure              trains nothing: times a step of that size against its matrix products alone
  --vocab N              vocabulary for --measure, default 2048
  --evaluate-every N     default 200           --evaluate-batches N  default 4
  --checkpoint-every N   default 200

Everything is kept in .runs/NAME (or NAME, where it is an absolute path): checkpoint.safetensors, log.jsonl and
model/, a folder that npm start serves.
Ctrl-C saves; the same command goes on exactly where it stopped. A run goes on with --steps, --schedule, --decay or
--final-share changed where that gives all steps done the learning rate that they had: a constant run may be
extended, and ended by a decay.`;

/** Settings and the flags that give them: the words of an error are the flag's, too. */
export const SETTING_FLAGS = {
  numSteps: 'steps',
  batchSize: 'batch',
  numTokens: 'length',
  alpha: 'alpha',
  distillWeight: 'distill',
  learningRate: 'learning-rate',
  finalShare: 'final-share',
  numWarmupSteps: 'warmup',
  numDecaySteps: 'decay',
  weightDecay: 'weight-decay',
  clipNorm: 'clip',
  seed: 'seed',
} as const;

export const SIZE_FLAGS = {
  hiddenSize: 'hidden',
  numLayers: 'layers',
  numHeads: 'heads',
  numKeyValueHeads: 'kv-heads',
  intermediateSize: 'intermediate',
  maxPositions: 'positions',
} as const;

/** Settings that are one of a few words. */
export const WORD_FLAGS = {
  schedule: { flag: 'schedule', words: SCHEDULES },
  maskStyle: { flag: 'mask', words: MASK_STYLES },
  blockStarts: { flag: 'block-starts', words: BLOCK_STARTS },
} as const;

/** A run may go on with these changed, as long as the steps that it has done keep their learning rate. */
const RATE_FLAGS: ReadonlySet<string> = new Set(['steps', 'schedule', 'decay', 'final-share']);

const TEXT_FLAGS = [
  ...Object.values(SETTING_FLAGS),
  ...Object.values(SIZE_FLAGS),
  ...Object.values(WORD_FLAGS).map(({ flag }) => flag),
  'run',
  'vocab',
  'from',
  'optimizer',
  'block-sizes',
  'question-weight',
  'data',
  'threads',
  'evaluate-every',
  'evaluate-batches',
  'checkpoint-every',
];

export function readFlags(args: readonly string[]): ParsedFlags {
  const flags = parseFlags(args, {
    ...Object.fromEntries(TEXT_FLAGS.map((name) => [name, { type: 'string' as const }])),
    'ar-only': { type: 'boolean' },
    measure: { type: 'boolean' },
    help: { type: 'boolean', short: 'h' },
  });
  const [stray] = flags.positionals;
  if (stray !== undefined) throw new FlagError(`"${stray}" belongs to no flag; --help lists the flags.`);
  return flags;
}

const ANY_NUMBER = { isWanted: Number.isFinite, expected: 'a number' };

/** Settings by name, as flags give them; undefined where a flag is absent. */
function numbers(flags: ParsedFlags, names: Readonly<Record<string, string>>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(names).map(([setting, flag]) => [setting, numberFlag(flags, flag, undefined, ANY_NUMBER)]),
  );
}

function words(flags: ParsedFlags): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(WORD_FLAGS).map(([setting, { flag, words }]) => [setting, oneOf(flags, flag, words)]),
  );
}

function blockSizes(flags: ParsedFlags): number[] | undefined {
  return stringFlag(flags, 'block-sizes')?.split(',').map(Number);
}

function settingsFrom(flags: ParsedFlags, dataFolder: string): TrainingSettings {
  const weight = numberFlag(flags, 'question-weight', undefined, ANY_NUMBER);
  return trainingSettingsSchema.parse({
    ...numbers(flags, SETTING_FLAGS),
    ...words(flags),
    arOnly: flags.values['ar-only'] === true,
    blockSizes: blockSizes(flags),
    questionWeight: weight === undefined ? undefined : { weight, ...answerMarks(dataFolder) },
  });
}

const NUM_MEASURED_ROUNDS = 12;

export async function measure(flags: ParsedFlags): Promise<string> {
  const numThreads = numThreadsOf(flags);
  const measured = await measureTraining({
    size: modelSizeSchema.parse(numbers(flags, SIZE_FLAGS)),
    vocabSize: numberFlag(flags, 'vocab', 2048, wholeNumber(16, 65_536)),
    settings: settingsFrom(flags, ''),
    numThreads,
    numRounds: NUM_MEASURED_ROUNDS,
  });
  return describeMeasured(measured, numThreads);
}

export function numThreadsOf(flags: ParsedFlags): number {
  return numberFlag(flags, 'threads', 2, wholeNumber(1));
}

/** The run's own checkpoint where there is one; else what --from names, or a fresh model. */
export function startingPoint(flags: ParsedFlags, run: string, dataFolder: string): Checkpoint {
  if (hasCheckpoint(runFolder(run))) return resumed(flags, run);
  const settings = settingsFrom(flags, dataFolder);
  const from = stringFlag(flags, 'from');
  const moments = oneOf(flags, 'optimizer', ['reset', 'keep']);
  if (from === undefined) {
    if (moments !== undefined)
      throw new FlagError('--optimizer says what becomes of the moments of --from RUN.');
    const size = modelSizeSchema.parse(numbers(flags, SIZE_FLAGS));
    return initialCheckpoint(size, tokensOf(dataFolder), settings);
  }
  const parent = loadCheckpoint(runFolder(from));
  assertSameSize(flags, parent, from);
  console.log(
    `From ${from}, step ${parent.step}: its weights; moments ${moments === 'keep' ? 'kept' : 'start over'}.`,
  );
  return restartedCheckpoint(parent, settings, { keepsMoments: moments === 'keep' });
}

function sizeOf({ configJson }: Checkpoint): Record<string, unknown> {
  return {
    hidden: configJson['hidden_size'],
    layers: configJson['num_hidden_layers'],
    heads: configJson['num_attention_heads'],
    'kv-heads': configJson['num_key_value_heads'],
    intermediate: configJson['intermediate_size'],
    positions: configJson['max_position_embeddings'],
  };
}

/** Weights have their size: a flag that says otherwise is refused, not ignored. */
function assertSameSize(flags: ParsedFlags, parent: Checkpoint, name: string): void {
  for (const [flag, size] of Object.entries(sizeOf(parent))) {
    const given = numberFlag(flags, flag, undefined, ANY_NUMBER);
    if (given === undefined || given === size) continue;
    throw new FlagError(`${name} has --${flag} ${shown(size)}; its weights have no other size.`);
  }
}

/**
 * A run goes on with the settings that it was started with: a flag that says otherwise is refused, not ignored. Only
 * the schedule of the steps to come may change.
 */
function resumed(flags: ParsedFlags, run: string): Checkpoint {
  const checkpoint = loadCheckpoint(runFolder(run));
  const { settings } = checkpoint;
  const started: Record<string, unknown> = {
    ...byFlag(settings),
    ...sizeOf(checkpoint),
    'question-weight': settings.questionWeight?.weight ?? 1,
  };
  const next = withNewRates(flags, checkpoint);
  for (const [flag, value] of Object.entries(givenOf(flags, started))) {
    if (value === undefined || value === started[flag] || (next !== undefined && RATE_FLAGS.has(flag)))
      continue;
    const isTooLate = flag === 'steps' && Number(value) < checkpoint.step;
    const done = `has done ${checkpoint.step} steps and `;
    throw new FlagError(
      `the run ${run} ${isTooLate ? done : ''}was started with --${flag} ${shown(started[flag])} and goes on with it; ` +
        `for --${flag} ${shown(value)} name another run, with --from ${run} for its weights.`,
    );
  }
  if (flags.values['ar-only'] === true && !settings.arOnly)
    throw new FlagError(`the run ${run} was started without --ar-only; name another run.`);
  return { ...checkpoint, settings: next ?? settings };
}

function byFlag(settings: TrainingSettings): Record<string, unknown> {
  const byName: Readonly<Record<string, unknown>> = settings;
  return {
    ...Object.fromEntries(Object.entries(SETTING_FLAGS).map(([name, flag]) => [flag, byName[name]])),
    ...Object.fromEntries(Object.entries(WORD_FLAGS).map(([name, { flag }]) => [flag, byName[name]])),
    'block-sizes': settings.blockSizes.join(','),
  };
}

function givenOf(flags: ParsedFlags, started: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const given: Record<string, unknown> = { 'block-sizes': blockSizes(flags)?.join(',') };
  for (const { flag, words } of Object.values(WORD_FLAGS)) given[flag] = oneOf(flags, flag, words);
  for (const [flag, value] of Object.entries(started))
    if (typeof value === 'number') given[flag] = numberFlag(flags, flag, undefined, ANY_NUMBER);
  return given;
}

/** The settings with the schedule that the flags name, where the steps done would have been the same with it. */
function withNewRates(flags: ParsedFlags, { settings, step }: Checkpoint): TrainingSettings | undefined {
  const given = Object.entries({ ...numbers(flags, SETTING_FLAGS), ...words(flags) }).filter(
    ([name, value]) => value !== undefined && RATE_FLAGS.has(FLAG_OF[name] ?? ''),
  );
  if (given.length === 0) return undefined;
  const next = trainingSettingsSchema.parse({ ...settings, ...Object.fromEntries(given) });
  return next.numSteps >= step && ratesAgree(settings, next, step) ? next : undefined;
}

const FLAG_OF: Readonly<Record<string, string>> = {
  ...SETTING_FLAGS,
  schedule: WORD_FLAGS.schedule.flag,
};

const shown = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value));

/** Ids of special tokens, read from the tokenizer that npm run data wrote. */
function specialTokens(dataFolder: string) {
  const fileName = path.join(dataFolder, 'tokenizer.json');
  const file = parseTokenizerJson(JSON.parse(readFileSync(fileName, 'utf8')), fileName);
  const idOf = (token: SpecialToken): number => {
    const id = findTokenId(file, token);
    if (id === undefined) throw new RangeError(`${fileName} has no token ${token}`);
    return id;
  };
  return { file, idOf };
}

function answerMarks(dataFolder: string) {
  const { idOf } = specialTokens(dataFolder);
  return { answerStartId: idOf('<|assistant|>'), answerEndId: idOf('<|end|>') };
}

/** The ids that config.json names. */
function tokensOf(dataFolder: string): SpecialTokenIds {
  const { file, idOf } = specialTokens(dataFolder);
  const ids = [...Object.values(file.model.vocab), ...file.added_tokens.map((token) => token.id)];
  return {
    vocabSize: Math.max(...ids) + 1,
    bosTokenId: idOf('<|bos|>'),
    eosTokenId: idOf('<|end|>'),
    maskTokenId: idOf('<|mask|>'),
  };
}

export function runFolder(name: string): string {
  return path.resolve('.runs', name);
}

export function assertData(dataFolder: string): void {
  if (!existsSync(path.join(dataFolder, 'train.bin')))
    throw new FlagError(`${dataFolder} holds no train.bin: run npm run data first.`);
}

/** Refused settings under their flags' names. */
export function explain(error: z.ZodError): string {
  const names: Readonly<Record<string, string>> = {
    ...FLAG_OF,
    ...SIZE_FLAGS,
    blockSizes: 'block-sizes',
    questionWeight: 'question-weight',
  };
  const told = error.issues.map(({ path: [setting], message }) => {
    const flag = names[String(setting)];
    return flag === undefined ? message : `--${flag}: ${message}`;
  });
  return `${told.join('; ')}.`;
}
