import { existsSync } from 'node:fs';
import path from 'node:path';
import { FlagError, numberFlag, oneOf, stringFlag, wholeNumber } from '../cli/flags.ts';
import type { ParsedFlags } from '../cli/flags.ts';
import { hasCheckpoint, loadCheckpoint } from './checkpoint.ts';
import type { Checkpoint } from './checkpoint.ts';
import {
  ANY_NUMBER,
  blockSizes,
  FLAG_OF,
  numbers,
  RATE_FLAGS,
  SETTING_FLAGS,
  settingsFrom,
  SIZE_FLAGS,
  tokensOf,
  WORD_FLAGS,
  words,
} from './command-flags.ts';
import { encodeTexts } from './encode.ts';
import { copyTokenizer, DTYPES } from './export.ts';
import { isModelFolder, startFromFolder, tokenizerOf } from './from-folder.ts';
import { initialCheckpoint, restartedCheckpoint } from './initialize.ts';
import { assertFits, planMemory } from './memory.ts';
import { modelSizeSchema, ratesAgree, trainingSettingsSchema } from './settings.ts';
import type { TrainingSettings } from './settings.ts';
import { hasTokenText } from './token-text.ts';

/** The run's own checkpoint where there is one; else what --from names, or a fresh model. */
export function startingPoint(flags: ParsedFlags, run: string, dataFolder: string): Checkpoint {
  if (hasCheckpoint(runFolder(run))) return withDtype(flags, resumed(flags, run));
  const settings = settingsFrom(flags, dataFolder);
  const from = stringFlag(flags, 'from');
  if (from === undefined) {
    refuseFlags(flags, ['optimizer', 'mask-token'], 'it belongs to --from');
    const size = modelSizeSchema.parse(numbers(flags, SIZE_FLAGS));
    return withDtype(flags, initialCheckpoint(size, tokensOf(dataFolder), settings));
  }
  if (hasCheckpoint(runFolder(from))) return withDtype(flags, fromRun(flags, from, settings));
  if (isModelFolder(from)) return withDtype(flags, fromFolder(flags, { from, run, dataFolder }, settings));
  throw new FlagError(
    `--from ${from} is neither a run with a checkpoint nor a model folder with a config.json.`,
  );
}

function fromRun(flags: ParsedFlags, from: string, settings: TrainingSettings): Checkpoint {
  refuseFlags(flags, ['mask-token'], `the run ${from} has one`);
  const moments = oneOf(flags, 'optimizer', ['reset', 'keep']);
  const parent = loadCheckpoint(runFolder(from));
  assertSameSize(flags, parent, from);
  console.log(
    `From ${from}, step ${parent.step}: its weights; moments ${moments === 'keep' ? 'kept' : 'start over'}.`,
  );
  return restartedCheckpoint(parent, settings, { keepsMoments: moments === 'keep' });
}

interface FolderNames {
  readonly from: string;
  readonly run: string;
  readonly dataFolder: string;
}

function fromFolder(
  flags: ParsedFlags,
  { from, run, dataFolder }: FolderNames,
  settings: TrainingSettings,
): Checkpoint {
  refuseFlags(flags, ['optimizer'], 'a model folder has no moments');
  assertSameTokenizer(from, dataFolder);
  const start = startFromFolder(from, settings, numberFlag(flags, 'mask-token', undefined, wholeNumber(0)));
  // Before gigabytes are read; the run itself checks again.
  assertFits(planMemory(start.config, settings), process.availableMemory());
  console.log(`From ${from}; the mask token is ${start.mask.id}, ${start.mask.origin}.`);
  const checkpoint = start.load();
  assertSameSize(flags, checkpoint, from);
  copyTokenizer(from, runFolder(run));
  return checkpoint;
}

function refuseFlags(flags: ParsedFlags, names: readonly string[], why: string): void {
  const given = names.find((name) => flags.values[name] !== undefined);
  if (given !== undefined) throw new FlagError(`--${given} has no meaning here: ${why}.`);
}

/** Token ids mean nothing to a model of another vocabulary. */
function assertSameTokenizer(modelFolder: string, dataFolder: string): void {
  const [model, data] = [modelFolder, dataFolder].map((folder) => tokenizerOf(folder)?.model);
  if (model === undefined || data === undefined) return;
  if (JSON.stringify(model) === JSON.stringify(data)) return;
  throw new FlagError(`${dataFolder} was encoded with another tokenizer than that of ${modelFolder}.`);
}

/** The type of exported weights, which config.json names. */
function withDtype(flags: ParsedFlags, checkpoint: Checkpoint): Checkpoint {
  const dtype = oneOf(flags, 'dtype', Object.keys(DTYPES));
  if (dtype === undefined) return checkpoint;
  const { dtype: _, ...configJson } = checkpoint.configJson;
  return { ...checkpoint, configJson: { ...configJson, torch_dtype: dtype } };
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
  const { numTokens, numMaskRows = numTokens } = settings;
  const byName: Readonly<Record<string, unknown>> = { ...settings, numMaskRows };
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

const shown = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value));

export function runFolder(name: string): string {
  return path.resolve('.runs', name);
}

/** Makes a data folder; says what it holds. */
export function encode(flags: ParsedFlags, file: string): string {
  const [from, data] = [stringFlag(flags, 'from'), stringFlag(flags, 'data')];
  if (from === undefined || data === undefined)
    throw new FlagError('--encode needs --from, a model folder, and --data, the folder to make.');
  if (!existsSync(file)) throw new FlagError(`--encode names ${file}, which does not exist.`);
  const { numDocuments, numTokens, numHeldOut } = encodeTexts(file, from, data);
  return `${data}: ${numDocuments} documents of ${numTokens} tokens to train on, ${numHeldOut} held out.`;
}

export function assertData(dataFolder: string): void {
  if (hasTokenText(dataFolder, 'train')) return;
  throw new FlagError(`${dataFolder} holds no train.bin: run npm run data first.`);
}
