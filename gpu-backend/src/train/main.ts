import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { TidarError } from '@tidar/shared/errors.ts';
import { FlagError, numberFlag, parseFlags, stringFlag, wholeNumber } from '../cli/flags.ts';
import type { ParsedFlags } from '../cli/flags.ts';
import { ALLOCATOR_ENVIRONMENT } from '../device/allocator-environment.ts';
import { findTokenId, parseTokenizerJson } from '../model/tokenizer.ts';
import type { SpecialToken } from '../data/special-tokens.ts';
import { hasCheckpoint, loadCheckpoint } from './checkpoint.ts';
import type { Checkpoint } from './checkpoint.ts';
import { initialCheckpoint, restartedCheckpoint } from './initialize.ts';
import type { SpecialTokenIds } from './initialize.ts';
import { trainRun } from './run.ts';
import { modelSizeSchema, trainingSettingsSchema } from './settings.ts';

const HELP = `npm run train -- --run NAME [options]      trains, or goes on with the run NAME

  --from RUN             start from another run's weights (train AR first, then TiDAR from it)
  --ar-only              plain AR training on clean tokens
  --steps N              default 2000          --batch N        default 8
  --length N             tokens of a sequence, default 256
  --block-sizes 4,8,16   one is drawn at each step, default 16
  --alpha A              weight of the AR loss, default 1
  --question-weight W    how much questions count in the losses, 0 to 1; default 1, all tokens alike
  --learning-rate R      default 0.002         --final-share S  default 0.1
  --warmup N             default 100           --weight-decay D default 0.1
  --clip N               default 1             --seed N         default 1
  --hidden, --layers, --heads, --kv-heads, --intermediate, --positions   a fresh model's size
  --data FOLDER          default .runs/data (npm run data)
  --threads N            default 2
  --evaluate-every N     default 200           --checkpoint-every N  default 200

Everything is kept in .runs/NAME (or NAME, where it is an absolute path): checkpoint.safetensors, log.jsonl and
model/, a folder that npm start serves.
Ctrl-C saves; the same command goes on exactly where it stopped.`;

/** Settings and the flags that give them: the words of an error are the flag's, too. */
const SETTING_FLAGS = {
  numSteps: 'steps',
  batchSize: 'batch',
  numTokens: 'length',
  alpha: 'alpha',
  learningRate: 'learning-rate',
  finalShare: 'final-share',
  numWarmupSteps: 'warmup',
  weightDecay: 'weight-decay',
  clipNorm: 'clip',
  seed: 'seed',
} as const;

const SIZE_FLAGS = {
  hiddenSize: 'hidden',
  numLayers: 'layers',
  numHeads: 'heads',
  numKeyValueHeads: 'kv-heads',
  intermediateSize: 'intermediate',
  maxPositions: 'positions',
} as const;

const TEXT_FLAGS = [
  ...Object.values(SETTING_FLAGS),
  ...Object.values(SIZE_FLAGS),
  ...[
    'run',
    'from',
    'block-sizes',
    'question-weight',
    'data',
    'threads',
    'evaluate-every',
    'checkpoint-every',
  ],
];

function readFlags(args: readonly string[]): ParsedFlags {
  const flags = parseFlags(args, {
    ...Object.fromEntries(TEXT_FLAGS.map((name) => [name, { type: 'string' as const }])),
    'ar-only': { type: 'boolean' },
    help: { type: 'boolean', short: 'h' },
  });
  const [stray] = flags.positionals;
  if (stray !== undefined) throw new FlagError(`"${stray}" belongs to no flag; --help lists the flags.`);
  return flags;
}

const ANY_NUMBER = { isWanted: Number.isFinite, expected: 'a number' };

function numbers(flags: ParsedFlags, names: Readonly<Record<string, string>>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(names).map(([setting, flag]) => [setting, numberFlag(flags, flag, undefined, ANY_NUMBER)]),
  );
}

function blockSizes(flags: ParsedFlags): number[] | undefined {
  return stringFlag(flags, 'block-sizes')?.split(',').map(Number);
}

function settingsFrom(flags: ParsedFlags, dataFolder: string) {
  const weight = numberFlag(flags, 'question-weight', undefined, ANY_NUMBER);
  return trainingSettingsSchema.parse({
    ...numbers(flags, SETTING_FLAGS),
    arOnly: flags.values['ar-only'] === true,
    blockSizes: blockSizes(flags),
    questionWeight: weight === undefined ? undefined : { weight, ...answerMarks(dataFolder) },
  });
}

/** The run's own checkpoint where there is one; else what --from names, or a fresh model. */
function startingPoint(flags: ParsedFlags, run: string, dataFolder: string): Checkpoint {
  if (hasCheckpoint(runFolder(run))) return resumed(flags, run);
  const settings = settingsFrom(flags, dataFolder);
  const from = stringFlag(flags, 'from');
  if (from !== undefined) return restartedCheckpoint(loadCheckpoint(runFolder(from)), settings);
  const size = modelSizeSchema.parse(numbers(flags, SIZE_FLAGS));
  return initialCheckpoint(size, tokensOf(dataFolder), settings);
}

/** A run goes on with the settings that it was started with: a flag that says otherwise is refused, not ignored. */
function resumed(flags: ParsedFlags, run: string): Checkpoint {
  const checkpoint = loadCheckpoint(runFolder(run));
  const { settings, configJson } = checkpoint;
  const byName: Readonly<Record<string, unknown>> = settings;
  const started: Record<string, unknown> = {
    ...Object.fromEntries(Object.entries(SETTING_FLAGS).map(([name, flag]) => [flag, byName[name]])),
    hidden: configJson['hidden_size'],
    layers: configJson['num_hidden_layers'],
    heads: configJson['num_attention_heads'],
    'kv-heads': configJson['num_key_value_heads'],
    intermediate: configJson['intermediate_size'],
    positions: configJson['max_position_embeddings'],
    'question-weight': settings.questionWeight?.weight ?? 1,
    'block-sizes': settings.blockSizes.join(','),
  };
  const given: Record<string, unknown> = { 'block-sizes': blockSizes(flags)?.join(',') };
  for (const flag of Object.keys(started)) given[flag] ??= numberFlag(flags, flag, undefined, ANY_NUMBER);
  for (const [flag, value] of Object.entries(given)) {
    if (value === undefined || value === started[flag]) continue;
    throw new FlagError(
      `the run ${run} was started with --${flag} ${shown(started[flag])} and goes on with it; ` +
        `for --${flag} ${shown(value)} name another run, with --from ${run} for its weights.`,
    );
  }
  if (flags.values['ar-only'] === true && !settings.arOnly)
    throw new FlagError(`the run ${run} was started without --ar-only; name another run.`);
  return checkpoint;
}

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

function runFolder(name: string): string {
  return path.resolve('.runs', name);
}

async function main(): Promise<number> {
  const flags = readFlags(process.argv.slice(2));
  const run = stringFlag(flags, 'run');
  if (flags.values['help'] === true || run === undefined) {
    console.log(HELP);
    return run === undefined && flags.values['help'] !== true ? 2 : 0;
  }
  const dataFolder = stringFlag(flags, 'data') ?? path.join('.runs', 'data');
  if (!existsSync(path.join(dataFolder, 'train.bin'))) {
    console.error(`${dataFolder} holds no train.bin: run npm run data first.`);
    return 2;
  }
  const abort = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => abort.abort());
  const options = {
    dataFolder,
    runFolder: runFolder(run),
    numThreads: numberFlag(flags, 'threads', 2, wholeNumber(1)),
    evaluateEvery: numberFlag(flags, 'evaluate-every', 200, wholeNumber(1)),
    numEvaluationBatches: 4,
    checkpointEvery: numberFlag(flags, 'checkpoint-every', 200, wholeNumber(1)),
  };
  const start = startingPoint(flags, run, dataFolder);
  if (start.step === start.settings.numSteps)
    console.log(`The run ${run} has done all its ${start.step} steps; ${options.runFolder} holds it.`);
  await trainRun(start, options, abort.signal);
  return 0;
}

/** Starts this file again with the allocator's settings, which only count when a process starts. */
function respawn(): void {
  const self = fileURLToPath(import.meta.url);
  const child = spawn(process.execPath, [self, ...process.argv.slice(2)], {
    stdio: 'inherit',
    env: { ...ALLOCATOR_ENVIRONMENT, ...process.env, TIDAR_TRAIN_CHILD: '1' },
  });
  // Ctrl-C reaches the child through the terminal; a signal sent to this process alone is passed on.
  process.on('SIGINT', () => undefined);
  process.on('SIGTERM', () => child.kill('SIGTERM'));
  child.on('exit', (code) => process.exit(code ?? 1));
}

if (process.env['TIDAR_TRAIN_CHILD'] === undefined) respawn();
else {
  try {
    process.exitCode = await main();
  } catch (error) {
    const isCallersFault = error instanceof FlagError || error instanceof z.ZodError;
    const isExpected = error instanceof TidarError || error instanceof RangeError || isCallersFault;
    const told = error instanceof z.ZodError ? explain(error) : isExpected ? error.message : error;
    console.error(...(isExpected ? [`train: ${String(told)}`] : [told]));
    process.exitCode = isCallersFault ? 2 : 1;
  }
}

/** A refused setting under its flag's name. */
function explain(error: z.ZodError): string {
  const names: Readonly<Record<string, string>> = {
    ...SETTING_FLAGS,
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
