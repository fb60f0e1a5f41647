import { MAX_DRAFT_LENGTH, MAX_STOP_STRINGS } from '@tidar/shared/protocol.ts';
import type { Sampling } from '../engine/sample.ts';
import { FlagError, numberFlag, parseFlags, stringFlag, wholeNumber } from './flags.ts';
import type { NumberRange, ParsedFlags } from './flags.ts';
import { DEMO_MODEL } from './open-model.ts';

export const GENERATE_HELP = `Streams a model's answer; every forward pass's tokens have their own colour.

  npm run generate -- "How many legs have 7 cats?"
  npm run generate -- --model path/to/folder --prompt-ids 1,2,3

  --model PATH         Hugging Face model folder (the demo model)
  --prompt-ids IDS     the prompt as token ids, comma-separated, in place of text
  --decode ar|tidar    one token a pass, or TiDAR's drafts; same text (tidar where the model can)
  --draft-length N     drafts in a pass, 1 to ${MAX_DRAFT_LENGTH} (the model's block size, at most 4 on a CPU)
  --beta X             trust in the causal rows, 0 to 1; below 1 the text is TiDAR's own (1)
  --temperature X      0 to 2; 0 takes the likeliest token (0)
  --top-k N            only the N likeliest tokens; 0 is off (0)
  --top-p X            only the likeliest tokens that reach this probability; 1 is off (1)
  --min-p X            only tokens at least this likely, measured by the likeliest; 0 is off (0)
  --seed N             0 to 2^64 - 1; the same seed gives the same text (a random one)
  --max-tokens N       length of the answer at most (256, or what the context has room for)
  --stop TEXT          ends the text before TEXT; up to ${MAX_STOP_STRINGS} times
  --threads N          threads of the forward pass (1)
  --json               no stream: one object as the last line
  --help               this text

A text prompt is put in the chat form where the model has one. Statistics go to the standard error stream. Colours
are used on a terminal only, and never when NO_COLOR is set.`;

const OPTIONS = {
  model: { type: 'string' },
  'prompt-ids': { type: 'string' },
  decode: { type: 'string' },
  'draft-length': { type: 'string' },
  beta: { type: 'string' },
  temperature: { type: 'string' },
  'top-k': { type: 'string' },
  'top-p': { type: 'string' },
  'min-p': { type: 'string' },
  seed: { type: 'string' },
  'max-tokens': { type: 'string' },
  stop: { type: 'string', multiple: true },
  threads: { type: 'string' },
  json: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
} as const;

export interface GenerateFlags {
  readonly help: boolean;
  readonly json: boolean;
  readonly modelPath: string;
  readonly prompt:
    | { readonly type: 'text'; readonly text: string }
    | { readonly type: 'tokens'; readonly tokenIds: number[] };
  /** Absent: TiDAR where the model has a diffusion mode. */
  readonly decode: 'ar' | 'tidar' | undefined;
  /** Absent: the model's block size. */
  readonly draftLength: number | undefined;
  readonly beta: number;
  readonly sampling: Sampling;
  /** Absent: a default that fits the context. */
  readonly maxTokens: number | undefined;
  readonly stop: readonly string[];
  readonly numThreads: number;
}

const UP_TO_1 = 'a number from 0 to 1';

/** Reads the command line of `generate`; throws FlagError with one sentence. */
export function parseGenerateFlags(args: readonly string[], randomSeed: () => bigint): GenerateFlags {
  const flags = parseFlags(args, OPTIONS);
  const help = flags.values['help'] === true;
  const range = (expected: string, isWanted: NumberRange['isWanted']): NumberRange => ({
    expected,
    isWanted,
  });
  const sampling: Sampling = {
    temperature: numberFlag(
      flags,
      'temperature',
      0,
      range('a number from 0 to 2', (x) => x >= 0 && x <= 2),
    ),
    topK: numberFlag(flags, 'top-k', 0, wholeNumber(0)),
    topP: numberFlag(
      flags,
      'top-p',
      1,
      range('more than 0 and at most 1', (x) => x > 0 && x <= 1),
    ),
    minP: numberFlag(
      flags,
      'min-p',
      0,
      range('0 or more and less than 1', (x) => x >= 0 && x < 1),
    ),
    seed: parseSeed(stringFlag(flags, 'seed')) ?? randomSeed(),
  };
  const decode = parseDecode(stringFlag(flags, 'decode'));
  const draftLength = numberFlag(flags, 'draft-length', undefined, wholeNumber(1, MAX_DRAFT_LENGTH));
  const beta = numberFlag(
    flags,
    'beta',
    1,
    range(UP_TO_1, (x) => x >= 0 && x <= 1),
  );
  if (decode === 'ar' && beta < 1)
    throw new FlagError('--beta below 1 needs drafts: use --decode tidar with it.');
  if (decode === 'ar' && draftLength !== undefined)
    throw new FlagError('--draft-length needs --decode tidar.');
  return {
    ...{ help, json: flags.values['json'] === true, modelPath: stringFlag(flags, 'model') ?? DEMO_MODEL },
    ...{
      prompt: help ? { type: 'text', text: '' } : parsePrompt(flags),
      decode,
      draftLength,
      beta,
      sampling,
    },
    maxTokens: numberFlag(flags, 'max-tokens', undefined, wholeNumber(1)),
    stop: parseStop(flags),
    numThreads: numberFlag(flags, 'threads', 1, wholeNumber(1, 256)),
  };
}

function parsePrompt(flags: ParsedFlags): GenerateFlags['prompt'] {
  const ids = stringFlag(flags, 'prompt-ids');
  const [text, ...more] = flags.positionals;
  if (more.length > 0) throw new FlagError('Give the prompt as one argument, in quotes.');
  if (ids === undefined && text === undefined)
    throw new FlagError('Give a prompt, or --prompt-ids; --help tells more.');
  if (ids === undefined) return { type: 'text', text: text ?? '' };
  if (text !== undefined) throw new FlagError('Give either a prompt or --prompt-ids, not both.');
  if (!/^\d+(,\d+)*$/.test(ids))
    throw new FlagError(`--prompt-ids must be token ids like 1,2,3; got "${ids}".`);
  return { type: 'tokens', tokenIds: ids.split(',').map(Number) };
}

function parseSeed(text: string | undefined): bigint | undefined {
  if (text === undefined) return undefined;
  const seed = /^\d{1,20}$/.test(text) ? BigInt(text) : -1n;
  if (seed >= 0n && seed < 1n << 64n) return seed;
  throw new FlagError(`--seed must be a whole number from 0 to 2^64 - 1; got "${text}".`);
}

function parseDecode(text: string | undefined): GenerateFlags['decode'] {
  if (text === undefined || text === 'ar' || text === 'tidar') return text;
  throw new FlagError(`--decode must be ar or tidar; got "${text}".`);
}

function parseStop({ values }: ParsedFlags): string[] {
  const given = values['stop'];
  const stop = (Array.isArray(given) ? given : []).map(String);
  if (stop.includes('')) throw new FlagError('--stop must not be empty.');
  if (stop.length > MAX_STOP_STRINGS)
    throw new FlagError(`--stop can be given ${MAX_STOP_STRINGS} times at most.`);
  return stop;
}
