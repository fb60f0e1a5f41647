import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { z } from 'zod';
import { assertNoStray, numberFlag, oneOf, parseFlags, stringFlag, wholeNumber } from '../cli/flags.ts';
import type { ParsedFlags } from '../cli/flags.ts';
import type { SpecialToken } from '../data/special-tokens.ts';
import { findTokenId, parseTokenizerJson } from '../model/tokenizer.ts';
import type { SpecialTokenIds } from './initialize.ts';
import { numTokensOf } from './mask-token.ts';
import { describeMeasured, measureTraining } from './measure.ts';
import { BLOCK_STARTS, MASK_STYLES, modelSizeSchema, SCHEDULES, trainingSettingsSchema } from './settings.ts';
import type { TrainingSettings } from './settings.ts';

export const HELP = `npm run train -- --run NAME [options]      trains, or goes on with the run NAME

  --from RUN|FOLDER      start from another run's weights (train AR first, then TiDAR from it), or from those of a
                         model folder in Hugging Face's form, which gets a mask token
  --optimizer reset|keep AdamW's moments start over, or are taken from that run too; default reset
  --mask-token ID        the token of a model folder that becomes the mask; default: one that no text holds
  --dtype D              of the exported weights: float16 (default, or what the folder says), bfloat16, float32
  --ar-only              plain AR training on clean tokens
  --steps N              default 2000          --batch N        default 8
  --length N             tokens of a sequence, default 256
  --block-sizes 4,8,16   one is drawn at each step, default 16
  --block-starts aligned|random   blocks begin at multiples of their size, or at an offset drawn at each step
  --mask-rows N          mask rows of each sequence: the blocks that count most; default all, as many as --length
  --mask full|random     the second half is all masks (default), or has them at random among clean tokens
  --alpha A              weight of the AR loss, default 1
  --mask-adapter RANK    a low-rank adapter that acts on mask rows alone, exported with the model; default 0, none
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
  --encode FILE          trains nothing: makes the --data folder of a file of JSON lines ({"text"}, {"messages"} or
                         {"question", "answer"}) with the tokenizer of the model folder that --from names
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
  maskAdapterRank: 'mask-adapter',
  numMaskRows: 'mask-rows',
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
export const RATE_FLAGS: ReadonlySet<string> = new Set(['steps', 'schedule', 'decay', 'final-share']);

const TEXT_FLAGS = [
  ...Object.values(SETTING_FLAGS),
  ...Object.values(SIZE_FLAGS),
  ...Object.values(WORD_FLAGS).map(({ flag }) => flag),
  'run',
  'vocab',
  'from',
  'optimizer',
  'mask-token',
  'encode',
  'dtype',
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
  assertNoStray(flags);
  return flags;
}

export const ANY_NUMBER = { isWanted: Number.isFinite, expected: 'a number' };

/** Settings by name, as flags give them; undefined where a flag is absent. */
export function numbers(
  flags: ParsedFlags,
  names: Readonly<Record<string, string>>,
): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(names).map(([setting, flag]) => [setting, numberFlag(flags, flag, undefined, ANY_NUMBER)]),
  );
}

export function words(flags: ParsedFlags): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(WORD_FLAGS).map(([setting, { flag, words }]) => [setting, oneOf(flags, flag, words)]),
  );
}

export function blockSizes(flags: ParsedFlags): number[] | undefined {
  return stringFlag(flags, 'block-sizes')?.split(',').map(Number);
}

export function settingsFrom(flags: ParsedFlags, dataFolder: string): TrainingSettings {
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
export function tokensOf(dataFolder: string): SpecialTokenIds {
  const { file, idOf } = specialTokens(dataFolder);
  return {
    vocabSize: numTokensOf(file),
    bosTokenId: idOf('<|bos|>'),
    eosTokenId: idOf('<|end|>'),
    maskTokenId: idOf('<|mask|>'),
  };
}

export const FLAG_OF: Readonly<Record<string, string>> = {
  ...SETTING_FLAGS,
  schedule: WORD_FLAGS.schedule.flag,
};

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
