import { MAX_STOP_STRINGS, MAX_TOP_LOGPROBS } from '@tidar/shared/protocol.ts';
import type { Sampling } from '../engine/sampling/settings.ts';
import { DEVICE_FLAGS, DEVICE_FLAGS_HELP, parseDeviceFlags } from './device-flags.ts';
import type { DeviceChoices } from './device-flags.ts';
import { DECODER_HELP, DECODER_OPTIONS, parseDecoder } from './decoder-flags.ts';
import type { DecoderFlags } from './decoder-flags.ts';
import { FlagError, numberFlag, parseFlags, stringFlag, tokenIdsFlag, wholeNumber } from './flags.ts';
import type { ParsedFlags } from './flags.ts';
import { parseSampling, SAMPLING_HELP, SAMPLING_OPTIONS } from './generate-sampling.ts';
import { FOLDER_FLAGS, FOLDER_HELP, parseFolderFlags } from './folder-flags.ts';
import { DEMO_MODEL } from './open-model.ts';
import type { FolderOptions } from '../model/folder.ts';

export const GENERATE_HELP = `Streams a model's answer; every forward pass's tokens have their own colour.

  npm run generate -- "How many legs have 7 cats?"
  npm run generate -- --model path/to/folder --prompt-ids 1,2,3

  --model PATH         Hugging Face model folder (the demo model)
${FOLDER_HELP}
  --prompt-ids IDS     the prompt as token ids, comma-separated, in place of text
  --threads N          threads of the forward pass (1)
${DEVICE_FLAGS_HELP}
  --json               no stream: one object as the last line
  --help               this text

${DECODER_HELP}

How tokens are drawn:
${SAMPLING_HELP}
  --logprobs N         each token's log-probability, and those of the N likeliest, 0 to ${MAX_TOP_LOGPROBS}

When the text ends:
  --max-tokens N       length of the answer at most (256, or what the context has room for)
  --min-tokens N       no end before so many tokens (0)
  --stop TEXT          ends the text before TEXT; up to ${MAX_STOP_STRINGS} times
  --stop-ids IDS       these tokens end the text too, comma-separated
  --ignore-eos         the model's own end tokens do not end it

Which form it has, one of:
  --json-schema FILE   JSON that this schema describes
  --regex PATTERN      text that the pattern matches as a whole
  --grammar FILE       text of this EBNF grammar, whose first rule is root

A text prompt is put in the chat form where the model has one. Statistics go to the standard error stream. Colours
are used on a terminal only, and never when NO_COLOR is set.`;

const TEXT = { type: 'string' } as const;
const SWITCH = { type: 'boolean' } as const;
const OPTIONS = {
  ...{ model: TEXT, 'prompt-ids': TEXT, threads: TEXT, json: SWITCH, help: { ...SWITCH, short: 'h' } },
  ...FOLDER_FLAGS,
  ...DEVICE_FLAGS,
  ...DECODER_OPTIONS,
  ...SAMPLING_OPTIONS,
  ...{ logprobs: TEXT, 'max-tokens': TEXT, stop: { ...TEXT, multiple: true } },
  ...{ 'stop-ids': TEXT, 'ignore-eos': SWITCH, 'json-schema': TEXT, regex: TEXT, grammar: TEXT },
} as const;

export type FormatFlag =
  | { readonly type: 'json_schema' | 'grammar'; readonly path: string }
  | { readonly type: 'regex'; readonly pattern: string };

export interface GenerateFlags extends FolderOptions, DeviceChoices {
  readonly help: boolean;
  readonly json: boolean;
  readonly modelPath: string;
  readonly prompt:
    | { readonly type: 'text'; readonly text: string }
    | { readonly type: 'tokens'; readonly tokenIds: number[] };
  readonly decoder: DecoderFlags;
  readonly sampling: Sampling;
  readonly logprobs: number | undefined;
  /** Absent: a default that fits the context. */
  readonly maxTokens: number | undefined;
  readonly stop: readonly string[];
  readonly stopTokenIds: readonly number[];
  readonly ignoreEos: boolean;
  readonly format: FormatFlag | undefined;
  readonly numThreads: number;
}

/** Reads the command line of `generate`; throws FlagError with one sentence. */
export function parseGenerateFlags(args: readonly string[], randomSeed: () => bigint): GenerateFlags {
  const flags = parseFlags(args, OPTIONS);
  const help = flags.values['help'] === true;
  return {
    help,
    json: flags.values['json'] === true,
    modelPath: stringFlag(flags, 'model') ?? DEMO_MODEL,
    ...parseFolderFlags(flags),
    ...parseDeviceFlags(flags),
    prompt: help ? { type: 'text', text: '' } : parsePrompt(flags),
    decoder: parseDecoder(flags),
    sampling: parseSampling(flags, randomSeed),
    logprobs: numberFlag(flags, 'logprobs', undefined, wholeNumber(0, MAX_TOP_LOGPROBS)),
    maxTokens: numberFlag(flags, 'max-tokens', undefined, wholeNumber(1)),
    stop: parseStop(flags),
    stopTokenIds: tokenIdsFlag(flags, 'stop-ids') ?? [],
    ignoreEos: flags.values['ignore-eos'] === true,
    format: parseFormat(flags),
    numThreads: numberFlag(flags, 'threads', 1, wholeNumber(1, 256)),
  };
}

function parsePrompt(flags: ParsedFlags): GenerateFlags['prompt'] {
  const tokenIds = tokenIdsFlag(flags, 'prompt-ids');
  const [text, ...more] = flags.positionals;
  if (more.length > 0) throw new FlagError('Give the prompt as one argument, in quotes.');
  if (text !== undefined && tokenIds !== undefined)
    throw new FlagError('Give either a prompt or --prompt-ids, not both.');
  if (tokenIds !== undefined) return { type: 'tokens', tokenIds };
  if (text !== undefined) return { type: 'text', text };
  throw new FlagError('Give a prompt, or --prompt-ids; --help tells more.');
}

function parseStop({ values }: ParsedFlags): string[] {
  const given = values['stop'];
  const stop = (Array.isArray(given) ? given : []).map(String);
  if (stop.includes('')) throw new FlagError('--stop must not be empty.');
  if (stop.length > MAX_STOP_STRINGS)
    throw new FlagError(`--stop can be given ${MAX_STOP_STRINGS} times at most.`);
  return stop;
}

function parseFormat(flags: ParsedFlags): FormatFlag | undefined {
  const [schema, pattern, grammar] = ['json-schema', 'regex', 'grammar'].map((name) =>
    stringFlag(flags, name),
  );
  if ([schema, pattern, grammar].filter((value) => value !== undefined).length > 1)
    throw new FlagError('Give one of --json-schema, --regex and --grammar.');
  if (pattern === '') throw new FlagError('--regex must not be empty.');
  if (schema !== undefined) return { type: 'json_schema', path: schema };
  if (grammar !== undefined) return { type: 'grammar', path: grammar };
  return pattern === undefined ? undefined : { type: 'regex', pattern };
}
