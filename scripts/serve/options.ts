import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseEnv } from 'node:util';
import type { EnvName } from '../../edge/src/config.ts';
import { ENV_NAMES, parseEdgeConfig } from '../../edge/src/config.ts';
import { callersFolder, numberFrom, present } from '../../gpu-backend/src/cli/environment.ts';
import type { Environment } from '../../gpu-backend/src/cli/environment.ts';
import {
  assertNoStray,
  FlagError,
  numberFlag,
  parseFlags,
  stringFlag,
  wholeNumber,
} from '../../gpu-backend/src/cli/flags.ts';
import { REPOSITORY } from '../../gpu-backend/src/cli/start/repository.ts';

export interface ServeOptions {
  readonly host: string;
  readonly port: number;
  /** Keys, ledgers and bills. */
  readonly statePath: string;
  /** What `edge/deploy/bundle.ts` wrote; absent: it is run now. */
  readonly bundlePath?: string;
  readonly drainLimitMs: number;
  /** Variables that the environment or the file sets; wrangler.toml's own come in under them. */
  readonly variables: EdgeVariables;
}

export type EdgeVariables = Readonly<Partial<Record<EnvName, string>>>;

export const SERVE_HELP = `Serves the edge in workerd, with its keys, ledgers and bills on disk.

  npm run serve -- [flags]

  --host <address>        address to listen on (EDGE_HOST), 127.0.0.1 by default
  --port <n>              port (EDGE_PORT), 8787 by default
  --state <folder>        where everything is kept (STATE), .runs/serve by default
  --env-file <file>       variables and secrets, NAME=value a line; .dev.vars by default, where it is there
  --drain-seconds <n>     time for running streams at the end (DRAIN_SECONDS), 25 by default
  --bundle <folder>       the Worker as edge/deploy/bundle.ts wrote it (BUNDLE); by default it is built at the start
  --help                  this text

The environment comes before the file, the file before wrangler.toml. LEASE_SECRETS, KEY_SECRETS and ADMIN_TOKEN must
be there. The edge's variables: ${ENV_NAMES.join(', ')}.`;

const PORT = wholeNumber(1, 65535);
const SECONDS = wholeNumber(0, 3600);

/** Flags over environment over defaults; undefined where only help was asked for. */
export function parseServeOptions(args: readonly string[], env: Environment): ServeOptions | undefined {
  const text = { type: 'string' } as const;
  const flags = parseFlags(args, {
    ...{ host: text, port: text, state: text, 'env-file': text, bundle: text },
    ...{ 'drain-seconds': text, help: { type: 'boolean' } },
  });
  if (flags.values['help'] === true) return undefined;
  assertNoStray(flags);
  const from = callersFolder(env, 'serve');
  const path = (flag: string, name: string): string | undefined => {
    const value = stringFlag(flags, flag) ?? present(env[name]);
    return value === undefined ? undefined : resolve(from, value);
  };
  const number = (flag: string, name: string, otherwise: number, range: typeof PORT): number =>
    numberFlag(flags, flag, numberFrom(env, name, otherwise, range), range);
  const bundlePath = path('bundle', 'BUNDLE');
  return {
    host: stringFlag(flags, 'host') ?? present(env['EDGE_HOST']) ?? '127.0.0.1',
    port: number('port', 'EDGE_PORT', 8787, PORT),
    statePath: path('state', 'STATE') ?? join(REPOSITORY, '.runs/serve'),
    ...(bundlePath === undefined ? {} : { bundlePath }),
    drainLimitMs: 1000 * number('drain-seconds', 'DRAIN_SECONDS', 25, SECONDS),
    variables: { ...readEnvFile(stringFlag(flags, 'env-file'), from), ...known(env) },
  };
}

/** Throws a FlagError that names whatever is missing or wrong: a server without it would refuse every request. */
export function assertEnvironment(variables: EdgeVariables): void {
  try {
    parseEdgeConfig(variables);
  } catch (error) {
    throw new FlagError(`the environment is not right: ${(error as Error).message}.`);
  }
}

function readEnvFile(named: string | undefined, from: string): EdgeVariables {
  const path = named === undefined ? join(REPOSITORY, '.dev.vars') : resolve(from, named);
  if (!existsSync(path)) {
    if (named === undefined) return {};
    throw new FlagError(`there is no file ${path}.`);
  }
  return known(parseEnv(readFileSync(path, 'utf8')));
}

/** The edge's variables among others; an empty one counts as none. */
function known(env: Environment): EdgeVariables {
  const pairs = ENV_NAMES.map((name) => [name, present(env[name])] as const);
  return Object.fromEntries(pairs.filter(([, value]) => value !== undefined));
}
