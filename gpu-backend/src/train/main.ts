import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { TidarError } from '@tidar/shared/errors.ts';
import { ALLOCATOR_ENVIRONMENT } from '../device/allocator-environment.ts';
import { findTokenId, parseTokenizerJson } from '../model/tokenizer.ts';
import type { SpecialToken } from '../data/special-tokens.ts';
import { loadCheckpoint } from './checkpoint.ts';
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

Everything is kept in .runs/NAME: checkpoint.safetensors, log.jsonl and model/, a folder that npm start serves.
Ctrl-C saves; the same command goes on exactly where it stopped.`;

const FLAGS = [
  'run',
  'from',
  'steps',
  'batch',
  'length',
  'block-sizes',
  'alpha',
  'question-weight',
  'learning-rate',
  'final-share',
  'warmup',
  'weight-decay',
  'clip',
  'seed',
  'hidden',
  'layers',
  'heads',
  'kv-heads',
  'intermediate',
  'positions',
  'data',
  'threads',
  'evaluate-every',
  'checkpoint-every',
] as const;

type Flags = Partial<Record<(typeof FLAGS)[number], string>>;

function readFlags(args: string[]): Flags & { arOnly: boolean; help: boolean } {
  const options = Object.fromEntries(FLAGS.map((name) => [name, { type: 'string' as const }]));
  const { values } = parseArgs({
    args,
    options: { ...options, 'ar-only': { type: 'boolean' }, help: { type: 'boolean', short: 'h' } },
  });
  const found: Readonly<Record<string, string | boolean | undefined>> = values;
  const flags: Flags = {};
  for (const name of FLAGS) {
    const value = found[name];
    if (typeof value === 'string') flags[name] = value;
  }
  return { ...flags, arOnly: found['ar-only'] === true, help: found['help'] === true };
}

const number = (text: string | undefined): number | undefined =>
  text === undefined ? undefined : Number(text);

function settingsFrom(flags: Flags & { arOnly: boolean }, dataFolder: string) {
  const weight = number(flags['question-weight']);
  return trainingSettingsSchema.parse({
    numSteps: number(flags.steps),
    batchSize: number(flags.batch),
    numTokens: number(flags.length),
    arOnly: flags.arOnly,
    blockSizes: flags['block-sizes']?.split(',').map(Number),
    alpha: number(flags.alpha),
    questionWeight: weight === undefined ? undefined : { weight, ...answerMarks(dataFolder) },
    learningRate: number(flags['learning-rate']),
    finalShare: number(flags['final-share']),
    numWarmupSteps: number(flags.warmup),
    weightDecay: number(flags['weight-decay']),
    clipNorm: number(flags.clip),
    seed: number(flags.seed),
  });
}

function startingPoint(flags: Flags & { arOnly: boolean }, dataFolder: string): Checkpoint {
  const settings = settingsFrom(flags, dataFolder);
  if (flags.from !== undefined) return restartedCheckpoint(loadCheckpoint(runFolder(flags.from)), settings);
  const size = modelSizeSchema.parse({
    hiddenSize: number(flags.hidden),
    numLayers: number(flags.layers),
    numHeads: number(flags.heads),
    numKeyValueHeads: number(flags['kv-heads']),
    intermediateSize: number(flags.intermediate),
    maxPositions: number(flags.positions),
  });
  return initialCheckpoint(size, tokensOf(dataFolder), settings);
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
  return path.join('.runs', name);
}

async function main(): Promise<number> {
  const flags = readFlags(process.argv.slice(2));
  if (flags.help || flags.run === undefined) {
    console.log(HELP);
    return flags.help ? 0 : 2;
  }
  const dataFolder = flags.data ?? path.join('.runs', 'data');
  if (!existsSync(path.join(dataFolder, 'train.bin'))) {
    console.error(`${dataFolder} holds no train.bin: run npm run data first.`);
    return 2;
  }
  const abort = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => abort.abort());
  const options = {
    dataFolder,
    runFolder: runFolder(flags.run),
    numThreads: number(flags.threads) ?? 2,
    evaluateEvery: number(flags['evaluate-every']) ?? 200,
    numEvaluationBatches: 4,
    checkpointEvery: number(flags['checkpoint-every']) ?? 200,
  };
  await trainRun(startingPoint(flags, dataFolder), options, abort.signal);
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
    const known = error instanceof TidarError || error instanceof RangeError || error instanceof z.ZodError;
    console.error(error instanceof z.ZodError ? z.prettifyError(error) : known ? error.message : error);
    process.exitCode = 1;
  }
}
