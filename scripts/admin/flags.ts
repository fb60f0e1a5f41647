import { parseArgs } from 'node:util';
import { AdminError } from './client.ts';

export interface Flags {
  values: Record<string, string | undefined>;
  positionals: string[];
}

/** Flags that all take a value; an unknown one is refused by its name. */
export function readFlags(args: readonly string[], names: readonly string[], numPositionals: number): Flags {
  const options = Object.fromEntries(names.map((name) => [name, { type: 'string' as const }]));
  let parsed: Flags;
  try {
    parsed = parseArgs({ args: [...args], options, allowPositionals: true, strict: true });
  } catch (error) {
    const [sentence = ''] = (error instanceof Error ? error.message : String(error)).split(/\.\s|\n/);
    throw new AdminError(`${sentence}; --help lists the flags.`);
  }
  if (parsed.positionals.length === numPositionals) return parsed;
  throw new AdminError(
    `Expected ${numPositionals} argument(s), got ${parsed.positionals.length}; see --help.`,
  );
}

const SETTINGS: Record<string, (text: string, name: string) => unknown> = {
  name: (text) => text,
  metadata: (text, name) => pairs(text, name),
  models: (text) => list(text),
  'requests-per-minute': whole,
  'tokens-per-minute': whole,
  'concurrent-streams': whole,
  'budget-tokens': whole,
  'budget-nanos': whole,
  'budget-refill': (text) => text,
  'expires-at': (text, name) => unixTime(text, name),
};
export const SETTING_FLAGS = Object.keys(SETTINGS);

/** The settings of a key that were given; `none` takes a limit away. */
export function settingsOf({ values }: Flags): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(SETTINGS).flatMap(([name, read]) => {
      const text = values[name];
      if (text === undefined) return [];
      return [[name.replaceAll('-', '_'), text === 'none' ? null : read(text, name)]];
    }),
  );
}

export function whole(text: string, name: string): number {
  if (/^\d{1,16}$/.test(text)) return Number(text);
  throw new AdminError(`--${name} must be a whole number; got "${text}".`);
}

/** Unix time in seconds, of a date or a time. */
export function unixTime(text: string, name: string): number {
  const time = Date.parse(text);
  if (!Number.isNaN(time)) return Math.floor(time / 1000);
  throw new AdminError(`--${name} must be a date such as 2027-01-31; got "${text}".`);
}

export const list = (text: string): string[] =>
  text
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');

function pairs(text: string, name: string): Record<string, string> {
  return Object.fromEntries(
    list(text).map((pair) => {
      const [, key, value] = /^([^=]+)=(.*)$/.exec(pair) ?? [];
      if (key === undefined || value === undefined) {
        throw new AdminError(`--${name} must be name=value pairs with commas between; got "${pair}".`);
      }
      return [key, value];
    }),
  );
}
