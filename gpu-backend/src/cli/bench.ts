import { existsSync, readFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg } from 'node:os';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import type { ModelFolder } from '../model/folder.ts';
import { benchDecode } from './bench-decode.ts';
import type { DecoderResult } from './bench-decode.ts';
import { FlagError, numberFlag, parseFlags, runCommand, stringFlag, wholeNumber } from './flags.ts';
import type { ParsedFlags } from './flags.ts';
import { DEMO_MODEL, openCommandModel } from './open-model.ts';

const HELP = `Measures decoding on the held-out questions: plain, and TiDAR's dense layout.

  npm run bench -- decode

  --model PATH       Hugging Face model folder (the demo model)
  --draft-lengths L  comma-separated; the last line's t/nfe is the last one's (4,8,16)
  --repetitions N    of every prompt with every decoder (5)
  --max-tokens N     length of an answer at most (128)
  --temperature X    0 to 2 (0); above 0 with keyed noise, seed 1
  --threads N        threads of the forward pass (1)
  --help             this text

The last line is: tidar/ar R.RR  t/nfe T.TT`;

const OPTIONS = {
  model: { type: 'string' },
  'draft-lengths': { type: 'string' },
  repetitions: { type: 'string' },
  'max-tokens': { type: 'string' },
  temperature: { type: 'string' },
  threads: { type: 'string' },
  help: { type: 'boolean', short: 'h' },
} as const;

const QUESTIONS = fileURLToPath(new URL('../../../test/fixtures/questions.json', import.meta.url));
const questionsSchema = z.array(z.object({ question: z.string() }));

await runCommand('bench', main);

async function main(): Promise<void> {
  const flags = parseFlags(process.argv.slice(2), OPTIONS);
  if (flags.values['help'] === true) return void process.stdout.write(`${HELP}\n`);
  const [what = 'nothing', ...more] = flags.positionals;
  if (what !== 'decode' || more.length > 0)
    throw new FlagError(`bench knows "decode"; got "${[what, ...more].join(' ')}".`);
  const options = benchFlags(flags);
  const { folder, session } = await openCommandModel(options.modelPath, options.numThreads);
  try {
    const prompts = benchPrompts(folder);
    process.stdout.write(`${header(folder, options, prompts.length)}\n\n`);
    const results = await benchDecode(session, { ...options, prompts }, showProgress);
    process.stdout.write(`${report(results)}\n`);
  } finally {
    await session.dispose();
  }
}

interface BenchFlags {
  readonly modelPath: string;
  readonly numThreads: number;
  readonly draftLengths: number[];
  readonly numRepetitions: number;
  readonly maxTokens: number;
  readonly sampling: { temperature: number; topK: number; topP: number; minP: number; seed: bigint };
}

function benchFlags(flags: ParsedFlags): BenchFlags {
  const lengths = stringFlag(flags, 'draft-lengths') ?? '4,8,16';
  if (!/^([1-9]|[1-5]\d|6[0-4])(,([1-9]|[1-5]\d|6[0-4]))*$/.test(lengths)) {
    throw new FlagError(`--draft-lengths must be lengths from 1 to 64 like 4,8,16; got "${lengths}".`);
  }
  const isWanted = (x: number): boolean => x >= 0 && x <= 2;
  const temperature = numberFlag(flags, 'temperature', 0, { expected: 'a number from 0 to 2', isWanted });
  return {
    modelPath: stringFlag(flags, 'model') ?? DEMO_MODEL,
    numThreads: numberFlag(flags, 'threads', 1, wholeNumber(1, 256)),
    draftLengths: lengths.split(',').map(Number),
    numRepetitions: numberFlag(flags, 'repetitions', 5, wholeNumber(1)),
    maxTokens: numberFlag(flags, 'max-tokens', 128, wholeNumber(1)),
    sampling: { temperature, topK: 0, topP: 1, minP: 0, seed: 1n },
  };
}

/** The held-out questions; for a folder without a tokenizer, fixed token ids. */
function benchPrompts({ tokenizer, config }: ModelFolder): number[][] {
  if (tokenizer === undefined) {
    const id = (prompt: number, at: number): number =>
      (prompt * 31 + at * 17) % Math.min(config.vocabSize, 32);
    return Array.from({ length: 8 }, (_, prompt) => Array.from({ length: 12 }, (__, at) => id(prompt, at)));
  }
  if (!existsSync(QUESTIONS))
    throw new FlagError('The held-out questions (test/fixtures/questions.json) are missing.');
  const questions = questionsSchema.parse(JSON.parse(readFileSync(QUESTIONS, 'utf8')));
  return questions.map(({ question }) =>
    tokenizer.hasChatTemplate
      ? tokenizer.encodeChat([{ role: 'user', content: question }])
      : tokenizer.encode(question),
  );
}

function header({ name }: ModelFolder, flags: BenchFlags, numPrompts: number): string {
  const { numThreads, numRepetitions, sampling } = flags;
  const keyed =
    sampling.temperature === 0 ? 'greedy' : `temperature ${sampling.temperature}, seed ${sampling.seed}`;
  const load = loadavg()[0]?.toFixed(1);
  return [
    `${name}: ${numPrompts} prompts × ${numRepetitions} repetitions, decoders taking turns prompt by prompt; ${keyed}`,
    `${cpus()[0]?.model ?? 'unknown CPU'}, ${availableParallelism()} cores, ${numThreads} thread(s) used, load ${load}`,
  ].join('\n');
}

function showProgress(done: number, total: number): void {
  if (process.stderr.isTTY) process.stderr.write(`\r${done}/${total}${done === total ? '\r\u001b[K' : ''}`);
}

/** The table, what it leaves unsaid, and the one line that scripts read. */
function report(results: readonly DecoderResult[]): string {
  const drafted = results.slice(1);
  const best = drafted.reduce((a, b) => (b.speedup.median > a.speedup.median ? b : a));
  const last = drafted.at(-1) ?? best;
  return [
    'decoder      rows  tokens/forward  ms/token (median)  tokens/s  ÷ ar (lowest to highest)  outside the graph',
    ...results.map(tableLine),
    '',
    'ar is the same law with two rows a pass (the device refuses one row: it runs another kernel, whose sums differ).',
    'Times are of whole answers, prefill and sampling included; tokens/forward are those after prefill.',
    `All decoders gave the same tokens. tidar/ar is ${best.name}, the fastest; t/nfe is ${last.name}'s.`,
    `tidar/ar ${best.speedup.median.toFixed(2)}  t/nfe ${last.tokensPerForward.toFixed(2)}`,
  ].join('\n');
}

function tableLine(result: DecoderResult): string {
  const { median, lowest, highest } = result.speedup;
  return [
    result.name.padEnd(11),
    String(result.numRows).padStart(6),
    result.tokensPerForward.toFixed(2).padStart(16),
    result.medianMsPerToken.toFixed(3).padStart(19),
    result.tokensPerSecond.toFixed(0).padStart(10),
    `${median.toFixed(2)} (${lowest.toFixed(2)} to ${highest.toFixed(2)})`.padStart(27),
    `${(100 * result.shareOutside).toFixed(0)}%`.padStart(19),
  ].join('');
}
