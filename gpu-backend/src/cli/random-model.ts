import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import {
  assertNoStray,
  FlagError,
  numberFlag,
  oneOf,
  parseFlags,
  runCommand,
  stringFlag,
  wholeNumber,
} from './flags.ts';
import { QUANTIZATIONS } from '../model/quantization/scheme.ts';
import { measureModel } from './random-model/measure.ts';
import { writeRandomModel } from './random-model/write.ts';

const HELP = `Writes a model folder with random weights: what a size costs can be measured before a download.

  node gpu-backend/src/cli/random-model.ts --out folder [--config FILE] [--dtype NAME]
  node gpu-backend/src/cli/random-model.ts --measure folder [--quantize NAME] [--threads N] …

  --config FILE        a config.json (one of the size of Ministral 3 3B, as Nemotron-Labs-Diffusion writes it)
  --dtype NAME         BF16, F16 or F32 (BF16)
  --out FOLDER         where it is written; 6.9 GB for the default
  --measure FOLDER     loads a folder, this one or a real one, and tells times and memory, step by step
  --quantize NAME      int8 or int4: its products' weights in so many bits
  --threads N          threads of the forward pass (1)
  --prompt-tokens N    length of the prompt (1000)
  --max-tokens N       length of the answer (16)`;

const DTYPES = ['BF16', 'F16', 'F32'] as const;
const DEFAULT_CONFIG = fileURLToPath(new URL('random-model/nemotron-3b.json', import.meta.url));

await runCommand('random-model', main);

async function main(): Promise<void> {
  const text = { type: 'string' } as const;
  const flags = parseFlags(process.argv.slice(2), {
    config: text,
    dtype: text,
    out: text,
    measure: text,
    quantize: text,
    threads: text,
    'prompt-tokens': text,
    'max-tokens': text,
    help: { type: 'boolean' },
  });
  if (flags.values['help'] === true) return void process.stdout.write(`${HELP}\n`);
  assertNoStray(flags);
  const measured = stringFlag(flags, 'measure');
  if (measured !== undefined) {
    return measureModel(measured, {
      quantize: oneOf(flags, 'quantize', QUANTIZATIONS),
      numThreads: numberFlag(flags, 'threads', 1, wholeNumber(1)),
      numPromptTokens: numberFlag(flags, 'prompt-tokens', 1000, wholeNumber(1)),
      maxTokens: numberFlag(flags, 'max-tokens', 16, wholeNumber(1)),
      say: (line) => void process.stdout.write(`${line}\n`),
    });
  }
  const out = stringFlag(flags, 'out');
  if (out === undefined) throw new FlagError('Give the folder to write by --out.');
  const path = stringFlag(flags, 'config') ?? DEFAULT_CONFIG;
  const config = JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>;
  writeRandomModel(out, config, oneOf(flags, 'dtype', DTYPES) ?? 'BF16');
}
