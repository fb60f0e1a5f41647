import { parseArgs } from 'node:util';
import type { ParseArgsOptionsConfig } from 'node:util';
import { TidarError } from '@tidar/shared/errors.ts';

/** A flag that can't be understood: one sentence for the person who typed it. The command ends with exit code 2. */
export class FlagError extends Error {}

export interface ParsedFlags {
  readonly values: Readonly<Record<string, string | boolean | (string | boolean)[] | undefined>>;
  readonly positionals: readonly string[];
}

/** Parses the command line; unknown flags and missing values are FlagErrors. */
export function parseFlags(args: readonly string[], options: ParseArgsOptionsConfig): ParsedFlags {
  try {
    return parseArgs({ args: joinNegativeNumbers(args), options, allowPositionals: true, strict: true });
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    // parseArgs explains at length; its first sentence names the flag.
    const [sentence = ''] = error.message.split(/\.\s|\n/);
    throw new FlagError(`${sentence.replace(/\.$/, '')}; --help lists the flags.`);
  }
}

export interface NumberRange {
  readonly isWanted: (value: number) => boolean;
  /** "a number from 0 to 2", say. */
  readonly expected: string;
}

/** `--seed -1` means the number, not a flag named 1: its own check then tells what is wrong with it. */
function joinNegativeNumbers(args: readonly string[]): string[] {
  const joined: string[] = [];
  for (const arg of args) {
    const flag = joined.at(-1);
    if (/^-[\d.]/.test(arg) && flag !== undefined && /^--[a-z-]+$/.test(flag)) {
      joined[joined.length - 1] = `${flag}=${arg}`;
    } else joined.push(arg);
  }
  return joined;
}

/** A number in its range, or `otherwise` where the flag is absent. */
export function numberFlag<T>(
  flags: ParsedFlags,
  name: string,
  otherwise: T,
  range: NumberRange,
): number | T {
  const text = flags.values[name];
  if (text === undefined) return otherwise;
  const value = typeof text === 'string' && /^-?(\d+\.?\d*|\.\d+)(e-?\d+)?$/i.test(text) ? Number(text) : NaN;
  if (range.isWanted(value)) return value;
  throw new FlagError(`--${name} must be ${range.expected}; got "${String(text)}".`);
}

export function stringFlag(flags: ParsedFlags, name: string): string | undefined {
  const value = flags.values[name];
  return typeof value === 'string' ? value : undefined;
}

/** One of a few words. */
export function oneOf<T extends string>(
  flags: ParsedFlags,
  name: string,
  words: readonly T[],
): T | undefined {
  const text = stringFlag(flags, name);
  if (text === undefined) return undefined;
  const word = words.find((each) => each === text);
  if (word !== undefined) return word;
  throw new FlagError(
    `--${name} must be ${words.slice(0, -1).join(', ')} or ${words.at(-1) ?? ''}; got "${text}".`,
  );
}

/** Comma-separated items; an empty flag has none. */
export function listFlag(flags: ParsedFlags, name: string): string[] | undefined {
  const text = stringFlag(flags, name);
  return text?.split(',').filter((item) => item !== '');
}

/** Comma-separated numbers, each in the range. */
export function numbersFlag(
  flags: ParsedFlags,
  name: string,
  otherwise: number[],
  range: NumberRange,
): number[] {
  return (
    listFlag(flags, name)?.map((item) =>
      numberFlag({ ...flags, values: { [name]: item } }, name, NaN, range),
    ) ?? otherwise
  );
}

/** For commands that take flags alone. */
export function assertNoStray({ positionals: [stray] }: ParsedFlags): void {
  if (stray !== undefined) throw new FlagError(`"${stray}" belongs to no flag; --help lists the flags.`);
}

export function tokenIdsFlag(flags: ParsedFlags, name: string): number[] | undefined {
  const text = stringFlag(flags, name);
  if (text === undefined) return undefined;
  if (/^\d+(,\d+)*$/.test(text)) return text.split(',').map(Number);
  throw new FlagError(`--${name} must be token ids like 1,2,3; got "${text}".`);
}

/** Whole numbers from `least` on. */
export function wholeNumber(least: number, most = Number.MAX_SAFE_INTEGER): NumberRange {
  const end = most === Number.MAX_SAFE_INTEGER ? ` of ${least} or more` : ` from ${least} to ${most}`;
  const isWanted = (value: number): boolean => Number.isSafeInteger(value) && value >= least && value <= most;
  return { isWanted, expected: `a whole number${end}` };
}

/** Runs a command and ends the process as a shell expects: 0, 1 for what failed, 2 for how it was called. */
export async function runCommand(name: string, command: () => Promise<void>): Promise<void> {
  process.stdout.on('error', endAtClosedPipe);
  try {
    await command();
  } catch (error) {
    process.exitCode = isCallersFault(error) ? 2 : 1;
    const isExpected = error instanceof FlagError || error instanceof TidarError;
    const told = isExpected ? error.message : String(error instanceof Error ? error.stack : error);
    process.stderr.write(`${name}: ${told}\n`);
    if (error instanceof TidarError && error.internal !== undefined)
      process.stderr.write(`  ${error.internal}\n`);
  }
}

/** `npm run generate … | head` closes the pipe early: nobody reads on, and that is no error. */
function endAtClosedPipe(error: NodeJS.ErrnoException): void {
  if (error.code === 'EPIPE') process.exit(0);
  throw error;
}

function isCallersFault(error: unknown): boolean {
  if (error instanceof FlagError) return true;
  return error instanceof TidarError && ['invalid_request', 'context_length_exceeded'].includes(error.code);
}
