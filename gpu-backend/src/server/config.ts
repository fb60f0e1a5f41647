import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { parseLeaseSecrets } from '@tidar/shared/lease.ts';
import { MAX_DRAFT_LENGTH } from '@tidar/shared/decoder.ts';
import { z } from 'zod';
import type { FolderOptions } from '../model/folder.ts';
import { DEVICE_SETTINGS, deviceSettingsSchema } from './device-settings.ts';
import type { DeviceConfig } from './device-settings.ts';
import { MODEL_SETTINGS, modelSettingsSchema } from './model-settings.ts';

export interface ServerConfig extends FolderOptions, DeviceConfig {
  readonly modelPath: string;
  /** What requests for speculative decoding draft with; absent: they are refused. */
  readonly draftModelPath?: string | undefined;
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  /** The address that leases must name; by default the one that the server listens on. */
  readonly instance?: string | undefined;
  readonly leaseSecrets: readonly string[];
  readonly numThreads: number;
  readonly numThreadsReason: string;
  /** Of requests that name none; absent: the default for the device. */
  readonly draftLength?: number | undefined;
  /** Texts that are decoded at once; `n` choices are `n` texts. */
  readonly maxConcurrent: number;
  /** Requests that may wait for a place; one more is refused as `overloaded`. */
  readonly maxWaiting: number;
  /** How long generations may go on after the first SIGTERM. */
  readonly drainLimitMs: number;
  /** Of all keys and values, kept prefixes included; absent: the engine chooses. */
  readonly maxCacheBytes?: number | undefined;
  /** Of the prefix cache; 0 turns it off. */
  readonly prefixCacheBytes: number;
  /** Tenants share the prefix cache. Then cached-token counts and timing tell one what another has sent. */
  readonly sharePrefixes: boolean;
  /** Prompt tokens that one forward pass takes at most; absent: the engine chooses. */
  readonly prefillChunkTokens?: number | undefined;
  /** The file that keeps what was generated. */
  readonly journalPath: string;
  readonly journalRetentionMs: number;
  /** How long a generation goes on for a reader who has gone. */
  readonly clientGraceMs: number;
  /** How long a text keeps its place at the end of its lease's tokens. */
  readonly sliceWaitMs: number;
  /** The edge that is told of this backend by heartbeats; absent: none is. */
  readonly edge?: string | undefined;
}

const MEBIBYTE = 1 << 20;
const HOUR_MS = 3_600_000;
const DEFAULT_PREFIX_CACHE_MIB = 256;

interface Setting {
  readonly flag: string;
  readonly env: string;
  readonly help: string;
  /** A flag that takes no value. */
  readonly isSwitch?: true;
}

/** Every setting but the secrets, which are read from LEASE_SECRETS alone: flags show in the list of processes. */
export const SETTINGS = {
  model: { flag: 'model', env: 'MODEL', help: 'model folder (Hugging Face layout)' },
  draftModel: {
    flag: 'draft-model',
    env: 'DRAFT_MODEL',
    help: 'folder of a small model with the same tokenizer, for speculative decoding',
  },
  ...MODEL_SETTINGS,
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
  maxConcurrent: { flag: 'max-concurrent', env: 'MAX_CONCURRENT', help: 'texts at once, 8 by default' },
  maxWaiting: { flag: 'max-waiting', env: 'MAX_WAITING', help: 'requests that may wait, 64 by default' },
  drainSeconds: {
    flag: 'drain-seconds',
    env: 'DRAIN_SECONDS',
    help: 'time for running texts at the end, 25',
  },
  maxCacheMib: {
    flag: 'max-cache-mib',
    env: 'MAX_CACHE_MIB',
    help: 'memory for keys and values in all; a quarter of the machine by default',
  },
  prefixCacheMib: {
    flag: 'prefix-cache-mib',
    env: 'PREFIX_CACHE_MIB',
    help: `of it, what kept prefixes may take, ${DEFAULT_PREFIX_CACHE_MIB} by default; 0: none`,
  },
  sharePrefixes: {
    flag: 'share-prefixes',
    env: 'SHARE_PREFIXES',
    help: 'keys share the prefix cache, and can tell so what others sent',
    isSwitch: true,
  },
  prefillChunk: {
    flag: 'prefill-chunk',
    env: 'PREFILL_CHUNK',
    help: 'prompt tokens that one forward pass takes at most',
  },
  journal: {
    flag: 'journal',
    env: 'JOURNAL',
    help: 'file that keeps what was generated, .runs/journal/<port>.sqlite by default',
  },
  journalRetentionHours: {
    flag: 'journal-retention-hours',
    env: 'JOURNAL_RETENTION_HOURS',
    help: 'how long it keeps it, 48 by default',
  },
  clientGraceMs: {
    flag: 'client-grace-ms',
    env: 'CLIENT_GRACE_MS',
    help: 'how long a text goes on for a client that left, 10000 by default',
  },
  sliceWaitMs: {
    flag: 'slice-wait-ms',
    env: 'SLICE_WAIT_MS',
    help: "how long a text waits at the end of its lease's tokens, 10000 by default",
  },
  edge: { flag: 'edge', env: 'EDGE_URL', help: 'address of the edge to send heartbeats to; none by default' },
  ...DEVICE_SETTINGS,
} as const satisfies Record<string, Setting>;
type SettingName = keyof typeof SETTINGS;

const wholeNumber = (least: number, most: number): z.ZodType<number, string> =>
  z
    .string()
    .regex(/^\d+$/, `expected a whole number from ${least} to ${most}`)
    .transform(Number)
    .pipe(z.int().min(least, `expected ${least} to ${most}`).max(most, `expected ${least} to ${most}`));

const address = z
  .url({ protocol: /^https?$/, error: 'expected an http(s) address' })
  .transform((url) => url.replace(/\/+$/, ''));

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
  draftModel: z.string().min(1, 'is empty').optional(),
  ...modelSettingsSchema,
  host: z.string().min(1, 'is empty').default('127.0.0.1'),
  port: wholeNumber(0, 65535).default(9000),
  instance: address.optional(),
  threads: wholeNumber(1, 256).optional(),
  draftLength: wholeNumber(1, MAX_DRAFT_LENGTH).optional(),
  maxConcurrent: wholeNumber(1, 1024).default(8),
  maxWaiting: wholeNumber(0, 100_000).default(64),
  drainSeconds: wholeNumber(0, 3600).default(25),
  maxCacheMib: wholeNumber(1, 1 << 24).optional(),
  prefixCacheMib: wholeNumber(0, 1 << 24).default(DEFAULT_PREFIX_CACHE_MIB),
  sharePrefixes: z
    .enum(['true', 'false', '1', '0'], "expected 'true' or 'false'")
    .default('false')
    .transform((text) => text === 'true' || text === '1'),
  prefillChunk: wholeNumber(1, 1 << 20).optional(),
  journal: z.string().optional(),
  // A day at least: an edge that was away for that long still settles by it.
  journalRetentionHours: wholeNumber(24, 24 * 366).default(48),
  clientGraceMs: wholeNumber(0, 3_600_000).default(10_000),
  sliceWaitMs: wholeNumber(0, 3_600_000).default(10_000),
  edge: address.optional(),
  ...deviceSettingsSchema,
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
  const {
    model,
    draftModel,
    threads,
    drainSeconds,
    maxCacheMib,
    prefixCacheMib,
    prefillChunk,
    precision,
    journal,
    journalRetentionHours,
    ...rest
  } = result.data;
  return Object.freeze({
    ...rest,
    prefixCacheBytes: prefixCacheMib * MEBIBYTE,
    ...(maxCacheMib === undefined ? {} : { maxCacheBytes: maxCacheMib * MEBIBYTE }),
    ...(prefillChunk === undefined ? {} : { prefillChunkTokens: prefillChunk }),
    ...(precision === undefined ? {} : { precision }),
    modelPath: model,
    ...(draftModel === undefined ? {} : { draftModelPath: draftModel }),
    ...chooseThreads(threads, availableParallelism()),
    drainLimitMs: drainSeconds * 1000,
    // On any free port nobody finds it again, by its address or by its file.
    journalPath: journal ?? `.runs/journal/${rest.port === 0 ? `pid-${process.pid}` : rest.port}.sqlite`,
    journalRetentionMs: journalRetentionHours * HOUR_MS,
  });
}

/** What the engine is to know: all of how it runs, none of the secrets. */
export function engineSettings(config: ServerConfig) {
  const { numThreads, maxConcurrent, maxWaiting, maxCacheBytes } = config;
  const { prefixCacheBytes, sharePrefixes, prefillChunkTokens, device, precision, cuda } = config;
  return {
    numThreads,
    maxConcurrent,
    maxWaiting,
    prefixCacheBytes,
    sharePrefixes,
    device,
    cuda,
    ...(precision === undefined ? {} : { precision }),
    ...(maxCacheBytes === undefined ? {} : { maxCacheBytes }),
    ...(prefillChunkTokens === undefined ? {} : { prefillChunkTokens }),
  };
}

/** One line for each setting, for `--help`. */
export function settingsHelp(): string {
  return Object.values(SETTINGS)
    .map(({ flag, env, help }) => `  --${flag.padEnd(16)} ${help} (${env})`)
    .join('\n');
}

function parseFlags(args: readonly string[]): Readonly<Record<string, string | undefined>> {
  const settings: readonly Setting[] = Object.values(SETTINGS);
  const options = Object.fromEntries(
    settings.map(({ flag, isSwitch }) => [
      flag,
      { type: isSwitch ? ('boolean' as const) : ('string' as const) },
    ]),
  );
  try {
    const { values } = parseArgs({ args: [...args], options, allowPositionals: false, strict: true });
    return Object.fromEntries(Object.entries(values).map(([flag, value]) => [flag, String(value)]));
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
