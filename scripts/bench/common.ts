import { availableParallelism, cpus, loadavg } from 'node:os';
import { assertNoStray, parseFlags } from '../../gpu-backend/src/cli/flags.ts';
import type { ParsedFlags } from '../../gpu-backend/src/cli/flags.ts';

export const COMMON_HELP = `  --json           one JSON object in place of the text
  --help           this text`;

/** The flags of a command; undefined: only its help was asked for, and told. */
export function flagsOf(
  args: readonly string[],
  texts: readonly string[],
  help: string,
): ParsedFlags | undefined {
  const options = Object.fromEntries(texts.map((name) => [name, { type: 'string' as const }]));
  const flags = parseFlags(args, { ...options, json: { type: 'boolean' }, help: { type: 'boolean' } });
  if (flags.values['help'] === true) {
    say(help);
    return undefined;
  }
  assertNoStray(flags);
  return flags;
}

export const say = (line: string): void => void process.stdout.write(`${line}\n`);

/** What a figure was measured on. */
export function machine(): string {
  const processor = cpus()[0]?.model.trim() ?? 'unknown CPU';
  return `${processor}, ${availableParallelism()} cores, load ${loadavg()[0]?.toFixed(1) ?? '?'}`;
}

export function tell(flags: ParsedFlags, lines: readonly string[], json: object): void {
  say(flags.values['json'] === true ? JSON.stringify(json) : lines.join('\n'));
}
