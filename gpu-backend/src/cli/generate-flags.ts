import { MAX_DRAFT_LENGTH, MAX_STOP_STRINGS, MAX_TOP_LOGPROBS } from '@tidar/shared/protocol.ts';
import { PLAN_NAMES } from '../decode/decoder.ts';
import type { PlanName } from '../decode/decoder.ts';
import type { Sampling } from '../engine/sampling/settings.ts';
import { FlagError, numberFlag, oneOf, parseFlags, stringFlag, tokenIdsFlag, wholeNumber } from './flags.ts';
import type { ParsedFlags } from './flags.ts';
import { parseSampling, SAMPLING_HELP, SAMPLING_OPTIONS } from './generate-sampling.ts';
import { DEMO_MODEL } from './open-model.ts';

export const GENERATE_HELP = `Streams a model's answer; every forward pass's tokens have their own colour.

  npm run generate -- "How many legs have 7 cats?"
  npm run generate -- --model path/to/folder --prompt-ids 1,2,3

  --model PATH         Hugging Face model folder (the demo model)
  --prompt-ids IDS     the prompt as token ids, comma-separated, in place of text
  --threads N          threads of the forward pass (1)
  --json               no stream: one object as the last line
  --help               this text

How passes are laid out, which decides how fast the text comes and never which:
  --decode ar|tidar    one token a pass, or TiDAR's drafts (tidar where the model can)
  --plan NAME          ${PLAN_NAMES.join(', ')} (auto: by what rows cost here)
  --draft-length N     1 to ${MAX_DRAFT_LENGTH}; alone it means --plan dense, whose passes have N(1 + N) rows;
                       for auto the most (the model's block size; at most 4 for the others)
  --measure            measures anew what passes cost here, which auto does once for a model folder
  --beta X             trust in the causal rows, 0 to 1; below 1 (dense only) the text is TiDAR's own (1)

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
  ...{ decode: TEXT, plan: TEXT, 'draft-length': TEXT, measure: SWITCH, beta: TEXT },
  ...SAMPLING_OPTIONS,
  ...{ logprobs: TEXT, 'max-tokens': TEXT, stop: { ...TEXT, multiple: true } },
  ...{ 'stop-ids': TEXT, 'ignore-eos': SWITCH, 'json-schema': TEXT, regex: TEXT, grammar: TEXT },
} as const;

/** How passes are laid out, as far as the command line says it. */
export interface LayoutFlags {
  /** Absent: TiDAR where the model has a diffusion mode. */
  readonly decode: 'ar' | 'tidar' | undefined;
  readonly plan: PlanName;
  /** Absent: as the model and the plan have it. */
  readonly draftLength: number | undefined;
  readonly beta: number;
  /** Whether any of them was given: a model that cannot do it is to say so. */
  readonly isGiven: boolean;
  readonly measure: boolean;
}

export type FormatFlag =
  | { readonly type: 'json_schema' | 'grammar'; readonly path: string }
  | { readonly type: 'regex'; readonly pattern: string };

export interface GenerateFlags {
  readonly help: boolean;
  readonly json: boolean;
  readonly modelPath: string;
  readonly prompt:
    | { readonly type: 'text'; readonly text: string }
    | { readonly type: 'tokens'; readonly tokenIds: number[] };
  readonly layout: LayoutFlags;
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
    prompt: help ? { type: 'text', text: '' } : parsePrompt(flags),
    layout: parseLayout(flags),
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

function parseLayout(flags: ParsedFlags): LayoutFlags {
  const refuseIf = (holds: boolean, sentence: string): void => {
    if (holds) throw new FlagError(sentence);
  };
  const decode = oneOf(flags, 'decode', ['ar', 'tidar']);
  const named = oneOf(flags, 'plan', PLAN_NAMES);
  const draftLength = numberFlag(flags, 'draft-length', undefined, wholeNumber(1, MAX_DRAFT_LENGTH));
  const isFraction = { expected: 'a number from 0 to 1', isWanted: (x: number) => x >= 0 && x <= 1 };
  const beta = numberFlag(flags, 'beta', 1, isFraction);
  const measure = flags.values['measure'] === true;
  const isAr = decode === 'ar';
  refuseIf(isAr && beta < 1, '--beta below 1 needs drafts: use --decode tidar with it.');
  refuseIf(isAr && draftLength !== undefined, '--draft-length needs --decode tidar.');
  refuseIf(isAr && named !== undefined, '--plan needs --decode tidar.');
  const plan = named ?? (draftLength === undefined && beta === 1 ? 'auto' : 'dense');
  const hasNoText = beta < 1 && plan !== 'dense';
  refuseIf(hasNoText, `--beta below 1 needs --plan dense; the plan ${plan} has no text of its own there.`);
  refuseIf(measure && (isAr || plan !== 'auto'), '--measure is of use to --plan auto only.');
  const isGiven = named !== undefined || draftLength !== undefined || beta < 1;
  return { decode, plan, draftLength, beta, isGiven, measure };
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
