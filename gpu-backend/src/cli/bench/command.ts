import { availableParallelism, cpus, loadavg } from 'node:os';
import type { ParseArgsOptionsConfig } from 'node:util';
import { DEVICES, RUNTIME_VERSION } from '../../device/open.ts';
import { DEVICE_FLAGS, DEVICE_FLAGS_HELP, parseDeviceFlags } from '../device-flags.ts';
import type { DeviceChoices } from '../device-flags.ts';
import { QUANTIZATIONS } from '../../model/quantization/scheme.ts';
import type { Quantization } from '../../model/quantization/scheme.ts';
import { FlagError, numberFlag, oneOf, stringFlag, wholeNumber } from '../flags.ts';
import type { NumberRange, ParsedFlags } from '../flags.ts';
import { parseShapeName } from './shapes.ts';
import type { ShapeName } from './shapes.ts';

/** One subcommand of `npm run bench`. */
export interface BenchCommand {
  readonly help: string;
  /** Beside those that all have. */
  readonly options: ParseArgsOptionsConfig;
  readonly run: (flags: ParsedFlags) => Promise<BenchOutput>;
}

export interface BenchOutput {
  /** Tables for a person; the last line is for scripts. */
  readonly text: string;
  readonly json: object;
  /** An SVG; `title` says which command made it. */
  readonly draw?: (title: string) => string;
}

export const COMMON_OPTIONS = {
  model: { type: 'string' },
  shape: { type: 'string' },
  quantize: { type: 'string' },
  threads: { type: 'string' },
  ...DEVICE_FLAGS,
  json: { type: 'boolean' },
  plot: { type: 'string' },
  help: { type: 'boolean', short: 'h' },
} as const;

export const COMMON_HELP = `  --model PATH       Hugging Face model folder (the demo model)
  --shape NAME       100m, 400m or vocab131k: random weights, with the demo model's acceptance replayed
  --quantize NAME    int8 or int4: its products' weights in so many bits
  --threads N        threads of the forward pass (1)
${DEVICE_FLAGS_HELP.replace(' (auto)', `, ${DEVICES.join(' or ')} (${DEVICES[0]})`)}
  --json             one JSON object in place of the tables
  --plot FILE        draws the result as an SVG too
  --help             this text`;

export interface CommonFlags extends DeviceChoices {
  /** Absent: the demo model. */
  readonly modelPath: string | undefined;
  readonly shape: ShapeName | undefined;
  readonly quantize?: Quantization | undefined;
  readonly numThreads: number;
}

export function commonFlags(flags: ParsedFlags): CommonFlags {
  const shape = stringFlag(flags, 'shape');
  const modelPath = stringFlag(flags, 'model');
  if (shape !== undefined && modelPath !== undefined)
    throw new FlagError('Give --model or --shape, not both: a shape is a model of its own.');
  return {
    modelPath,
    shape: shape === undefined ? undefined : parseShapeName(shape),
    quantize: oneOf(flags, 'quantize', QUANTIZATIONS),
    numThreads: numberFlag(flags, 'threads', 1, wholeNumber(1, 256)),
    ...parseDeviceFlags(flags, DEVICES[0]),
  };
}

/** Until when cells are measured again. */
export const PRECISION_OPTIONS = { within: { type: 'string' }, 'time-limit': { type: 'string' } } as const;

export interface Precision {
  readonly within: number;
  readonly timeLimitMs: number;
}

export function precisionFlags(flags: ParsedFlags, seconds: number): Precision {
  const share: NumberRange = { expected: 'a share above 0 like 0.02', isWanted: (x) => x > 0 };
  const time: NumberRange = { expected: 'seconds, 0 or more', isWanted: (x) => x >= 0 };
  return {
    within: numberFlag(flags, 'within', 0.02, share),
    timeLimitMs: 1000 * numberFlag(flags, 'time-limit', seconds, time),
  };
}

/** Comma-separated whole numbers, rising. */
export function listFlag(
  flags: ParsedFlags,
  name: string,
  otherwise: readonly number[],
  most: number,
): number[] {
  const text = stringFlag(flags, name);
  if (text === undefined) return [...otherwise];
  const values = text.split(',').map((part) => (/^\d+$/.test(part) ? Number(part) : NaN));
  const isRising = values.every((value, at) => value > (values[at - 1] ?? 0) && value <= most);
  if (isRising) return values;
  const example = otherwise.slice(0, 3).join(',');
  throw new FlagError(`--${name} must be rising numbers from 1 to ${most} like ${example}; got "${text}".`);
}

/** What a figure was measured on. */
export function machine({ numThreads, device }: Pick<CommonFlags, 'numThreads' | 'device'>): string {
  const processor = cpus()[0]?.model ?? 'unknown CPU';
  const load = loadavg()[0]?.toFixed(1);
  return `${processor}, ${availableParallelism()} cores, ${numThreads} thread(s) used, load ${load}; onnxruntime ${RUNTIME_VERSION}, ${device}`;
}

/** Under a picture's title: one line, for pictures of `PICTURE_WIDTH`. */
export function caption(heading: string, { numThreads }: Pick<CommonFlags, 'numThreads'>): string {
  return `${heading} · ${cpus()[0]?.model ?? 'unknown CPU'}, ${numThreads} thread(s)`;
}

export const PICTURE_WIDTH = 1280;

/** Tells how far a long run is; silent where nobody watches. */
export type Progress = (what: string) => void;

export const showProgress: Progress = (what) => {
  if (process.stderr.isTTY) process.stderr.write(`\r\u001b[K${what}`);
};

export function endProgress(): void {
  if (process.stderr.isTTY) process.stderr.write('\r\u001b[K');
}

/** Columns as wide as their widest cell: numbers to the right, names (the first column, and those without a title) to the left. */
export function table(header: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const all = [header, ...rows];
  const widths = header.map((_, column) => Math.max(...all.map((row) => (row[column] ?? '').length)));
  const isName = header.map((title, column) => column === 0 || title === '');
  const pad = (cell: string, column: number): string =>
    isName[column] === true ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0);
  return all.map((row) => row.map(pad).join('  ').trimEnd());
}

export function sum<T>(values: readonly T[], of: (value: T) => number): number {
  return values.reduce((all, value) => all + of(value), 0);
}
