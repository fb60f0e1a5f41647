import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { assertNoStray, FlagError, oneOf, parseFlags, runCommand, stringFlag } from './flags.ts';
import { writeRandomModel } from './random-model/write.ts';

const HELP = `Writes a model folder with random weights: what a size costs can be measured before a download.

  node gpu-backend/src/cli/random-model.ts --out folder [flags]

  --config FILE        a config.json (one of the size of Ministral 3 3B, as Nemotron-Labs-Diffusion writes it)
  --dtype NAME         BF16, F16 or F32 (BF16)
  --out FOLDER         where it is written; 6.9 GB for the default`;

const DTYPES = ['BF16', 'F16', 'F32'] as const;
const DEFAULT_CONFIG = fileURLToPath(new URL('random-model/nemotron-3b.json', import.meta.url));

await runCommand('random-model', main);

async function main(): Promise<void> {
  const text = { type: 'string' } as const;
  const flags = parseFlags(process.argv.slice(2), {
    config: text,
    dtype: text,
    out: text,
    help: { type: 'boolean' },
  });
  if (flags.values['help'] === true) return void process.stdout.write(`${HELP}\n`);
  assertNoStray(flags);
  const out = stringFlag(flags, 'out');
  if (out === undefined) throw new FlagError('Give the folder to write by --out.');
  const path = stringFlag(flags, 'config') ?? DEFAULT_CONFIG;
  const config = JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>;
  writeRandomModel(out, config, oneOf(flags, 'dtype', DTYPES) ?? 'BF16');
}
