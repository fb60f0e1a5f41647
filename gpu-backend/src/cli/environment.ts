import { FlagError } from './flags.ts';
import type { NumberRange } from './flags.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

/** A variable's value; an empty one counts as none. */
export const present = (value: string | undefined): string | undefined => (value === '' ? undefined : value);

/** A number in its range, or `otherwise` where the variable is absent. */
export function numberFrom(env: Environment, name: string, otherwise: number, range: NumberRange): number {
  const text = present(env[name]);
  if (text === undefined) return otherwise;
  if (range.isWanted(Number(text))) return Number(text);
  throw new FlagError(`${name} must be ${range.expected}; got "${text}".`);
}

/** npm runs its scripts in the package's folder; paths are meant from where the person is. */
export function callersFolder(env: Environment, script: string): string {
  return (env['npm_lifecycle_event'] === script ? present(env['INIT_CWD']) : undefined) ?? process.cwd();
}
