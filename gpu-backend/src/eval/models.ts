import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { TidarError } from '@tidar/shared/errors.ts';
import type { DeviceChoices } from '../cli/device-flags.ts';
import { openCommandModel } from '../cli/open-model.ts';
import type { CommandDevice } from '../cli/open-model.ts';
import { assertSameTokens } from '../decode/same-tokens.ts';
import { deviceKey, openPlanner } from '../decode/planner-file.ts';
import type { OpenedPlanner } from '../decode/planner-file.ts';
import { soloEngine } from '../decode/solo-engine.ts';
import type { GpuInfo, ModelSession } from '../device/device.ts';
import type { Engine } from '../engine/engine.ts';
import { GrammarCompiler } from '../engine/grammar/grammar-compiler.ts';
import type { FolderOptions, ModelFolder } from '../model/folder.ts';
import type { Quantization } from '../model/quantization/scheme.ts';
import type { Tokenizer } from '../model/tokenizer.ts';
import type { ModelKey, Row } from './rows.ts';

const SHIPPED = (name: string): string => fileURLToPath(new URL(`../../models/${name}`, import.meta.url));
export const AR_ONLY_MODEL = SHIPPED('demo-ar-only');
export const DRAFT_MODEL = SHIPPED('demo-draft');

export interface OpenedModel {
  readonly folder: ModelFolder;
  readonly tokenizer: Tokenizer;
  readonly engine: Engine;
  /** What it runs on; absent: the CPU. */
  readonly gpu?: GpuInfo | undefined;
  readonly compiler: GrammarCompiler;
}

export interface Models {
  readonly main: OpenedModel;
  readonly arOnly: OpenedModel | undefined;
  readonly draft: ModelFolder | undefined;
  readonly dispose: () => Promise<void>;
}

export interface ModelPaths {
  readonly main: string;
  readonly arOnly: string | undefined;
  readonly draft: string | undefined;
  /** Of the main model. */
  readonly quantize?: Quantization | undefined;
  readonly numThreads: number;
  /** Absent: the CPU. */
  readonly device?: CommandDevice | undefined;
}

/** Of a command line. */
export const deviceOf = ({ device, precision, cuda }: DeviceChoices): CommandDevice => ({
  device,
  precision,
  cuda,
});

/** A folder that a flag names, or the shipped one if the model is the shipped one and it is there. */
export function companion(given: string | undefined, shipped: string, isDemo: boolean): string | undefined {
  return given ?? (isDemo && existsSync(join(shipped, 'config.json')) ? shipped : undefined);
}

/** Opens all models of an evaluation, and a planner if a row plans. */
export async function openModels(paths: ModelPaths, isPlanned: boolean): Promise<Models> {
  const { numThreads, device, quantize } = paths;
  const opened = new AsyncDisposableStack(); // the last one is closed first
  const open = async (path: string, flag: string, options: FolderOptions = {}): Promise<Opened> => {
    const one = await openCommandModel(path, numThreads, flag, { ...device, ...options });
    opened.defer(() => one.session.dispose());
    return one;
  };
  try {
    const main = await open(paths.main, '--model', { quantize });
    const draft = paths.draft === undefined ? undefined : await open(paths.draft, '--draft-model');
    if (draft !== undefined) assertSameTokens(draft.folder, main.folder);
    const arOnly = paths.arOnly === undefined ? undefined : await open(paths.arOnly, '--ar-only');
    const planner = isPlanned ? await planFor(main, numThreads) : undefined;
    opened.defer(() => void planner?.save());
    const engine = opened.adopt(soloEngine(main.session, planner?.chooser, draft?.session), disposeOf);
    const other = arOnly && opened.adopt(soloEngine(arOnly.session), disposeOf);
    return {
      main: { ...(await withTokens(main.folder, engine)), gpu: main.session.gpu },
      arOnly: arOnly && other && (await withTokens(arOnly.folder, other)),
      draft: draft?.folder,
      dispose: () => opened.disposeAsync(),
    };
  } catch (error) {
    await opened.disposeAsync();
    throw error;
  }
}

interface Opened {
  readonly folder: ModelFolder;
  readonly session: ModelSession;
}

function disposeOf(engine: Engine): void {
  engine.dispose();
}

async function withTokens(folder: ModelFolder, engine: Engine): Promise<OpenedModel> {
  const { tokenizer, name, config } = folder;
  if (tokenizer === undefined)
    throw new TidarError('invalid_request', `${name} has no tokenizer: it can read no questions.`);
  return { folder, tokenizer, engine, compiler: await GrammarCompiler.create(tokenizer, config) };
}

async function planFor({ folder, session }: Opened, numThreads: number): Promise<OpenedPlanner | undefined> {
  const maxDraftLength = folder.config.tidar?.blockSize;
  if (maxDraftLength === undefined) return undefined;
  return openPlanner(session, {
    folder,
    key: deviceKey({ numThreads, device: session.gpu }),
    maxDraftLength,
    maxSequences: 1,
  });
}

export function modelOf({ main, arOnly }: Models, key: ModelKey): OpenedModel | undefined {
  return key === 'main' ? main : arOnly;
}

/** Why a row can't be run on these models at all; undefined where it can. */
export function whyNot({ model, decoder }: Row, { arOnly, draft, main }: Models): string | undefined {
  if (model === 'ar-only' && arOnly === undefined) return 'no --ar-only folder';
  if (decoder.type === 'speculative' && draft === undefined) return 'no --draft-model folder';
  const needsMask = decoder.type === 'tidar' || decoder.type === 'diffusion';
  return needsMask && main.folder.config.tidar === undefined
    ? 'the model has no mask token (no tidar fields in its config)'
    : undefined;
}
