import { MAX_LOGIT_BIASES } from '@tidar/shared/protocol.ts';
import type { Sampling } from '../engine/sampling/settings.ts';
import { FlagError, numberFlag, stringFlag, wholeNumber } from './flags.ts';
import type { NumberRange, ParsedFlags } from './flags.ts';

export const SAMPLING_HELP = `  --temperature X      0 to 2; 0 takes the likeliest token (0)
  --top-k N            only the N likeliest tokens; 0 is off (0)
  --top-p X            only the likeliest tokens that reach this probability; 1 is off (1)
  --min-p X            only tokens at least this likely, measured by the likeliest; 0 is off (0)
  --presence-penalty X    -2 to 2, once for each token that the answer has already (0)
  --frequency-penalty X   -2 to 2, for each time that the answer has a token (0)
  --repetition-penalty X  above 0 to 10, on tokens of prompt and answer; 1 is off (1)
  --logit-bias LIST    added to tokens' logits, as id:bias,id:bias with biases from -100 to 100
  --seed N             0 to 2^64 - 1; the same seed gives the same text (a random one)`;

const TEXT = { type: 'string' } as const;
export const SAMPLING_OPTIONS = {
  ...{ temperature: TEXT, 'top-k': TEXT, 'top-p': TEXT, 'min-p': TEXT, seed: TEXT, 'logit-bias': TEXT },
  ...{ 'presence-penalty': TEXT, 'frequency-penalty': TEXT, 'repetition-penalty': TEXT, 'min-tokens': TEXT },
} as const;

const range = (expected: string, isWanted: NumberRange['isWanted']): NumberRange => ({ expected, isWanted });
const TEMPERATURE = range('a number from 0 to 2', (x) => x >= 0 && x <= 2);
const TOP_P = range('more than 0 and at most 1', (x) => x > 0 && x <= 1);
const MIN_P = range('0 or more and less than 1', (x) => x >= 0 && x < 1);
const PENALTY = range('a number from -2 to 2', (x) => x >= -2 && x <= 2);
const REPETITION = range('more than 0 and at most 10', (x) => x > 0 && x <= 10);
const MAX_BIAS = 100;

/** What the flags say of how tokens are drawn; throws FlagError. */
export function parseSampling(flags: ParsedFlags, randomSeed: () => bigint): Sampling {
  return {
    temperature: numberFlag(flags, 'temperature', 0, TEMPERATURE),
    topK: numberFlag(flags, 'top-k', 0, wholeNumber(0)),
    topP: numberFlag(flags, 'top-p', 1, TOP_P),
    minP: numberFlag(flags, 'min-p', 0, MIN_P),
    presencePenalty: numberFlag(flags, 'presence-penalty', 0, PENALTY),
    frequencyPenalty: numberFlag(flags, 'frequency-penalty', 0, PENALTY),
    repetitionPenalty: numberFlag(flags, 'repetition-penalty', 1, REPETITION),
    logitBias: parseBiases(stringFlag(flags, 'logit-bias')),
    minTokens: numberFlag(flags, 'min-tokens', 0, wholeNumber(0)),
    seed: parseSeed(stringFlag(flags, 'seed')) ?? randomSeed(),
  };
}

function parseBiases(list: string | undefined): [number, number][] {
  if (list === undefined) return [];
  const biases = list.split(',').map((item): [number, number] => {
    const [, id, bias] = /^(\d+):(-?(?:\d+\.?\d*|\.\d+))$/.exec(item) ?? [];
    if (id !== undefined && Math.abs(Number(bias)) <= MAX_BIAS) return [Number(id), Number(bias)];
    throw new FlagError(
      `--logit-bias must be like 5:-100,17:2.5, with biases from -${MAX_BIAS} to ${MAX_BIAS}; got "${item}".`,
    );
  });
  if (new Set(biases.map(([id]) => id)).size < biases.length)
    throw new FlagError('--logit-bias names a token twice.');
  if (biases.length > MAX_LOGIT_BIASES)
    throw new FlagError(`--logit-bias takes ${MAX_LOGIT_BIASES} tokens at most.`);
  return biases;
}

function parseSeed(text: string | undefined): bigint | undefined {
  if (text === undefined) return undefined;
  const seed = /^\d{1,20}$/.test(text) ? BigInt(text) : -1n;
  if (seed >= 0n && seed < 1n << 64n) return seed;
  throw new FlagError(`--seed must be a whole number from 0 to 2^64 - 1; got "${text}".`);
}
