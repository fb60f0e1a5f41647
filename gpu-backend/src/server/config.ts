import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { parseLeaseSecrets } from '@tidar/shared/lease.ts';
import { MAX_DRAFT_LENGTH } from '@tidar/shared/protocol.ts';
import { z } from 'zod';

export interface ServerConfig {
  readonly modelPath: string;
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  /** The address that leases must name; by default the one that the server listens on. */
  readonly instance?: string;
  readonly leaseSecrets: readonly string[];
  readonly numThreads: number;
  readonly numThreadsReason: string;
  /** Of requests that name none; absent: the default for the device. */
  readonly draftLength?: number | undefined;
  /** Sequences that are decoded in turns. */
  readonly maxConcurrent: number;
  /** Requests that may wait for their turn; one more is refused as `overloaded`. */
  readonly maxWaiting: number;
  /** How long open streams may go on after the first SIGTERM. */
  readonly drainLimitMs: number;
}

interface Setting {
  readonly flag: string;
  readonly env: string;
  readonly help: string;
}

/** Every setting but the secrets, which are read from LEASE_SECRETS alone: flags show in the list of processes. */
export const SETTINGS = {
  model: { flag: 'model', env: 'MODEL', help: 'model folder (Hugging Face layout)' },
  host: { flag: 'host', env: 'BACKEND_HOST', help: 'address to listen on, 127.0.0.1 by default' },
  port: { flag: 'port', env: 'BACKEND_PORT', help: 'port, 9000 by default; 0: any free one' },
  instance: {
    flag: 'instance',
    env: 'BACKEND_INSTANCE',
    help: 'the address that leases name this backend by',
  },
  threads: { flag: 'threads', env: 'BACKEND_THREADS', help: 'threads of a forward pass' },
  draftLength: {
    flag: 'draft-length',
    env: 'DRAFT_LENGTH',
    help: 'draft length of requests that name none',
  },
  maxConcurrent: { flag: 'max-concurrent', env: 'MAX_CONCURRENT', help: 'sequences at once, 8 by default' },
  maxWaiting: { flag: 'max-waiting', env: 'MAX_WAITING', help: 'requests that may wait, 64 by default' },
  drainSeconds: { flag: 'drain-seconds', env: 'DRAIN_SECONDS', help: 'time for open streams at the end, 25' },
} as const satisfies Record<string, Setting>;
type SettingName = keyof typeof SETTINGS;

const wholeNumber = (least: number, most: number): z.ZodType<number, string> =>
  z
    .string()
    .regex(/^\d+$/, `expected a whole number from ${least} to ${most}`)
    .transform(Number)
    .pipe(z.int().min(least, `expected ${least} to ${most}`).max(most, `expected ${least} to ${most}`));

const secrets = z.string('LEASE_SECRETS is missing: it checks leases').transform((text, context) => {
  try {
    return parseLeaseSecrets(text);
  } catch (error) {
    context.addIssue({ code: 'custom', message: (error as Error).message });
    return z.NEVER;
  }
});

const schema = z.object({
  model: z.string('is missing: give the path of a model folder').min(1, 'is empty'),
  host: z.string().min(1, 'is empty').default('127.0.0.1'),
  port: wholeNumber(0, 65535).default(9000),
  instance: z.url({ protocol: /^https?$/, error: 'expected an http(s) address' }).optional(),
  threads: wholeNumber(1, 256).optional(),
  draftLength: wholeNumber(1, MAX_DRAFT_LENGTH).optional(),
  maxConcurrent: wholeNumber(1, 1024).default(8),
  maxWaiting: wholeNumber(0, 100_000).default(64),
  drainSeconds: wholeNumber(0, 3600).default(25),
  leaseSecrets: secrets,
});

/** A start-up that cannot go on: its message is one sentence for the operator. */
export class ConfigError extends Error {}

/** Flags over environment over defaults, parsed once and frozen; throws ConfigError naming what is wrong. */
export function parseServerConfig(
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): ServerConfig {
  const flags = parseFlags(args);
  const values = Object.fromEntries(
    Object.entries(SETTINGS).map(([name, setting]) => [
      name,
      flags[setting.flag] ?? emptyAsAbsent(env[setting.env]),
    ]),
  );
  const result = schema.safeParse({ ...values, leaseSecrets: env['LEASE_SECRETS'] });
  if (!result.success) throw new ConfigError(describeIssue(result.error.issues[0], values));
  const { model, threads, drainSeconds, instance, ...rest } = result.data;
  return Object.freeze({
    ...rest,
    modelPath: model,
    ...(instance === undefined ? {} : { instance: instance.replace(/\/+$/, '') }),
    ...chooseThreads(threads, availableParallelism()),
    drainLimitMs: drainSeconds * 1000,
  });
}

/** One line for each setting, for `--help`. */
export function settingsHelp(): string {
  return Object.values(SETTINGS)
    .map(({ flag, env, help }) => `  --${flag.padEnd(16)} ${help} (${env})`)
    .join('\n');
}

function parseFlags(args: readonly string[]): Readonly<Record<string, string | undefined>> {
  const options = Object.fromEntries(
    Object.values(SETTINGS).map(({ flag }) => [flag, { type: 'string' as const }]),
  );
  try {
    return parseArgs({ args: [...args], options, allowPositionals: false, strict: true }).values;
  } catch (error) {
    throw new ConfigError((error as Error).message);
  }
}

const emptyAsAbsent = (value: string | undefined): string | undefined => (value === '' ? undefined : value);

function describeIssue(
  issue: z.core.$ZodIssue | undefined,
  values: Readonly<Record<string, unknown>>,
): string {
  const name = String(issue?.path[0] ?? '');
  if (name === 'leaseSecrets') return `${issue?.message}.`;
  const setting = SETTINGS[name as SettingName];
  const value = values[name];
  const found = value === undefined ? '' : ` is ${JSON.stringify(value)}:`;
  return `--${setting.flag} (${setting.env})${found} ${issue?.message}.`;
}

/** Small models gain nothing from more than a few threads, and HTTP needs a core of its own. */
function chooseThreads(
  asked: number | undefined,
  numCores: number,
): Pick<ServerConfig, 'numThreads' | 'numThreadsReason'> {
  if (asked !== undefined) return { numThreads: asked, numThreadsReason: 'as configured' };
  const numThreads = Math.max(1, Math.min(4, numCores - 1));
  const reason =
    numThreads < 4 ? `of ${numCores} cores, one left to HTTP` : `of ${numCores} cores, at most 4`;
  return { numThreads, numThreadsReason: reason };
}
