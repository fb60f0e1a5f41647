import { resolve } from 'node:path';
import { callersFolder, numberFrom, present } from '../environment.ts';
import type { Environment } from '../environment.ts';
import { DEVICE_FLAGS, DEVICE_FLAGS_HELP, deviceArguments } from '../device-flags.ts';
import { FOLDER_FLAGS, FOLDER_HELP, parseFolderFlags, withResolvedAdapter } from '../folder-flags.ts';
import { DEMO_MODEL } from '../open-model.ts';
import type { FolderOptions } from '../../model/folder.ts';
import { FlagError, numberFlag, parseFlags, stringFlag, wholeNumber } from '../flags.ts';
import { REPOSITORY } from './repository.ts';

export interface StartOptions {
  readonly modelPath: string;
  readonly folderOptions: FolderOptions;
  /** What the backend is told of the device. */
  readonly deviceArguments: readonly string[];
  /** For speculative decoding; absent: it is refused. */
  readonly draftModelPath: string | undefined;
  /** Where clients come in. */
  readonly port: number;
  readonly backendPort: number;
  /** Secrets, the demo key and the ledgers: what a later start finds again. */
  readonly statePath: string;
  readonly isVerbose: boolean;
}

export const START_HELP = `Starts the backend and the edge on this machine and makes a demo key.

  npm start -- [flags]

  --model <folder>      model folder (MODEL); the demo model by default
${FOLDER_HELP}
${DEVICE_FLAGS_HELP}
  --draft-model <folder>  small model with the same tokenizer (DRAFT_MODEL), for speculative decoding
  --port <n>            port of the edge (EDGE_PORT), 8787 by default; where it is taken, the next free one
  --backend-port <n>    port of the backend (BACKEND_PORT), 9000 by default; likewise
  --state <folder>      where secrets, the demo key and the ledgers are kept (STATE), .runs/start by default
  --verbose             shows the logs of backend and edge
  --help                this text

Further settings of the backend are read from the environment: node gpu-backend/src/server/main.ts --help`;

/** Flags over environment over defaults; undefined where only help was asked for. */
export function parseStartOptions(args: readonly string[], env: Environment): StartOptions | undefined {
  const flags = parseFlags(args, {
    model: { type: 'string' },
    ...FOLDER_FLAGS,
    ...DEVICE_FLAGS,
    'draft-model': { type: 'string' },
    port: { type: 'string' },
    'backend-port': { type: 'string' },
    state: { type: 'string' },
    verbose: { type: 'boolean' },
    help: { type: 'boolean' },
  });
  if (flags.values['help'] === true) return undefined;
  if (flags.positionals.length > 0)
    throw new FlagError(`"${flags.positionals[0]}" is not a flag; --help lists them.`);
  const from = callersFolder(env, 'start');
  const model = stringFlag(flags, 'model') ?? present(env['MODEL']);
  const draftModel = stringFlag(flags, 'draft-model') ?? present(env['DRAFT_MODEL']);
  const state = stringFlag(flags, 'state') ?? present(env['STATE']);
  return {
    modelPath: model === undefined ? DEMO_MODEL : resolve(from, model),
    folderOptions: withResolvedAdapter(parseFolderFlags(flags), from),
    deviceArguments: deviceArguments(flags),
    draftModelPath: draftModel === undefined ? undefined : resolve(from, draftModel),
    port: numberFlag(flags, 'port', numberFrom(env, 'EDGE_PORT', 8787, PORT), PORT),
    backendPort: numberFlag(flags, 'backend-port', numberFrom(env, 'BACKEND_PORT', 9000, PORT), PORT),
    statePath: state === undefined ? resolve(REPOSITORY, '.runs/start') : resolve(from, state),
    isVerbose: flags.values['verbose'] === true,
  };
}

const PORT = wholeNumber(1, 65535);
