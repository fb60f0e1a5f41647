import { describe, expect, it } from 'vitest';
import { FlagError } from './flags.ts';
import { GENERATE_HELP, parseGenerateFlags } from './generate-flags.ts';
import { DEMO_MODEL } from './open-model.ts';

const RANDOM_SEED = 99n;
const parse = (...args: string[]) => parseGenerateFlags(args, () => RANDOM_SEED);

describe('the flags of generate', () => {
  it('have the defaults that the help names', () => {
    expect(parse('a question')).toEqual({
      help: false,
      json: false,
      modelPath: DEMO_MODEL,
      prompt: { type: 'text', text: 'a question' },
      decode: undefined,
      draftLength: undefined,
      beta: 1,
      sampling: { temperature: 0, topK: 0, topP: 1, minP: 0, seed: RANDOM_SEED },
      maxTokens: undefined,
      stop: [],
      numThreads: 1,
    });
  });

  it('are each read', () => {
    const args =
      '--model m --prompt-ids 1,2,3 --decode tidar --draft-length 8 --beta 0.5 --temperature 0.8 --top-k 5 ' +
      '--top-p .9 --min-p 1e-2 --seed 18446744073709551615 --max-tokens 7 --stop a --stop b --threads 2 --json';
    expect(parse(...args.split(' '))).toEqual({
      help: false,
      json: true,
      modelPath: 'm',
      prompt: { type: 'tokens', tokenIds: [1, 2, 3] },
      decode: 'tidar',
      draftLength: 8,
      beta: 0.5,
      sampling: { temperature: 0.8, topK: 5, topP: 0.9, minP: 0.01, seed: (1n << 64n) - 1n },
      maxTokens: 7,
      stop: ['a', 'b'],
      numThreads: 2,
    });
  });

  it('are all told by the help, which needs no prompt', () => {
    expect(parse('--help').help).toBe(true);
    for (const flag of 'model prompt-ids decode draft-length beta temperature top-k top-p min-p seed'.split(
      ' ',
    )) {
      expect(GENERATE_HELP).toContain(`--${flag} `);
    }
    for (const flag of ['--max-tokens ', '--stop ', '--threads ', '--json ', '--help ']) {
      expect(GENERATE_HELP).toContain(flag);
    }
  });

  it.each<{ args: string[]; says: string }>([
    { args: [], says: 'Give a prompt' },
    { args: ['a', 'b'], says: 'in quotes' },
    { args: ['--colour', 'x'], says: "'--colour'" },
    { args: ['--temperature'], says: "'--temperature" },
    { args: ['--temperature', 'warm', 'x'], says: 'from 0 to 2; got "warm"' },
    { args: ['--temperature', '', 'x'], says: 'from 0 to 2; got ""' },
    { args: ['--top-k', '1.5', 'x'], says: '--top-k must be a whole number' },
    { args: ['--top-p', '0', 'x'], says: '--top-p' },
    { args: ['--min-p', '1', 'x'], says: '--min-p' },
    { args: ['--seed', '-1', 'x'], says: '--seed must be a whole number from 0 to 2^64 - 1; got "-1"' },
    { args: ['--seed', '18446744073709551616', 'x'], says: '--seed' },
    { args: ['--max-tokens', '0', 'x'], says: '--max-tokens' },
    { args: ['--draft-length', '65', 'x'], says: 'from 1 to 64' },
    { args: ['--beta', '-0.5', 'x'], says: 'got "-0.5"' },
    { args: ['--decode', 'beam', 'x'], says: 'ar or tidar' },
    { args: ['--decode', 'ar', '--beta', '0.5', 'x'], says: '--beta below 1' },
    { args: ['--decode', 'ar', '--draft-length', '4', 'x'], says: '--draft-length needs' },
    { args: ['--prompt-ids', '1,,2'], says: '--prompt-ids' },
    { args: ['--prompt-ids', '1', 'x'], says: 'not both' },
    { args: ['--stop', '', 'x'], says: '--stop must not be empty' },
    { args: [...'--stop a --stop b --stop c --stop d --stop e'.split(' '), 'x'], says: '4 times' },
  ])('are refused in one sentence: $args', ({ args, says }) => {
    expect(() => parse(...args)).toThrowError(FlagError);
    expect(() => parse(...args)).toThrowError(says);
  });
});
