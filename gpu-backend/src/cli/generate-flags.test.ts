import { describe, expect, it } from 'vitest';
import type { PlanName } from '../decode/decoder.ts';
import { DEFAULT_CUDA_OPTIONS } from '../device/cuda/options.ts';
import { PLAIN_SAMPLING } from '../engine/sampling/settings.ts';
import { FlagError } from './flags.ts';
import { GENERATE_HELP, parseGenerateFlags } from './generate-flags.ts';
import { DEMO_MODEL } from './open-model.ts';

const RANDOM_SEED = 99n;
const parse = (...args: string[]) => parseGenerateFlags(args, () => RANDOM_SEED);

const USUAL = { type: 'tidar', plan: 'auto', draftLength: undefined, beta: 1 } as const;

describe('the flags of generate', () => {
  it('have the defaults that the help names', () => {
    expect(parse('a question')).toEqual({
      help: false,
      json: false,
      modelPath: DEMO_MODEL,
      prompt: { type: 'text', text: 'a question' },
      decoder: { ...USUAL, measure: false, isRequired: false },
      sampling: { ...PLAIN_SAMPLING, seed: RANDOM_SEED },
      logprobs: undefined,
      maxTokens: undefined,
      stop: [],
      stopTokenIds: [],
      ignoreEos: false,
      format: undefined,
      numThreads: 1,
      device: 'auto',
      cuda: DEFAULT_CUDA_OPTIONS,
    });
  });

  it('are each read', () => {
    const args =
      '--model m --prompt-ids 1,2,3 --decode tidar --plan dense --draft-length 8 --beta 0.5 --temperature 0.8 ' +
      '--top-k 5 --top-p .9 --min-p 1e-2 --seed 18446744073709551615 --presence-penalty -2 ' +
      '--frequency-penalty 0.5 --repetition-penalty 1.3 --logit-bias 5:-100,17:2.5 --min-tokens 3 --logprobs 4 ' +
      '--max-tokens 7 --stop a --stop b --stop-ids 7,8 --ignore-eos --regex [0-9]+ --threads 2 --json ' +
      '--device cuda --precision bfloat16 --cuda device=1,graphs=on';
    expect(parse(...args.split(' '))).toEqual({
      help: false,
      json: true,
      modelPath: 'm',
      prompt: { type: 'tokens', tokenIds: [1, 2, 3] },
      decoder: { type: 'tidar', plan: 'dense', draftLength: 8, beta: 0.5, measure: false, isRequired: true },
      sampling: {
        ...{ temperature: 0.8, topK: 5, topP: 0.9, minP: 0.01, seed: (1n << 64n) - 1n, minTokens: 3 },
        ...{ presencePenalty: -2, frequencyPenalty: 0.5, repetitionPenalty: 1.3 },
        logitBias: [
          [5, -100],
          [17, 2.5],
        ],
      },
      logprobs: 4,
      maxTokens: 7,
      stop: ['a', 'b'],
      stopTokenIds: [7, 8],
      ignoreEos: true,
      format: { type: 'regex', pattern: '[0-9]+' },
      numThreads: 2,
      device: 'cuda',
      precision: 'bfloat16',
      cuda: { ...DEFAULT_CUDA_OPTIONS, device: 1, graphs: 'on' },
    });
    expect(parse('--json-schema', 'f.json', 'x').format).toEqual({ type: 'json_schema', path: 'f.json' });
    expect(parse('--grammar', 'f.ebnf', 'x').format).toEqual({ type: 'grammar', path: 'f.ebnf' });
    expect(parse('--measure', 'x').decoder).toMatchObject({ measure: true, isRequired: false });
  });

  it.each<[string, PlanName]>([
    ['', 'auto'],
    ['--draft-length 8', 'dense'],
    ['--beta 0.5', 'dense'],
    ['--plan auto --draft-length 8', 'auto'],
    ['--plan two-pass --draft-length 8', 'two-pass'],
    ['--plan sparse', 'sparse'],
    ['--plan branches', 'branches'],
  ])('choose a plan: "%s" means %s', (args, plan) => {
    expect(parse(...args.split(' ').filter((arg) => arg !== ''), 'x').decoder).toMatchObject({
      type: 'tidar',
      plan,
    });
  });

  it.each<[string, object]>([
    ['--decode ar', { type: 'ar' }],
    ['--decode tidar', { type: 'tidar', isRequired: true }],
    ['--draft-model d', { type: 'speculative', draftModel: 'd', draftLength: undefined }],
    ['--decode speculative --draft-model d --draft-length 7', { type: 'speculative', draftLength: 7 }],
    ['--decode diffusion', { type: 'diffusion', strategy: 'confidence', tokensPerPass: 1 }],
    ['--decode diffusion --threshold 0.7', { type: 'diffusion', strategy: 'threshold', threshold: 0.7 }],
    [
      '--strategy left-to-right --tokens-per-pass 3 --block-length 5',
      { type: 'diffusion', strategy: 'left-to-right', tokensPerPass: 3, blockLength: 5 },
    ],
  ])('choose a decoder: "%s"', (args, decoder) => {
    expect(parse(...args.split(' '), 'x').decoder).toMatchObject(decoder);
  });

  it('are all told by the help, which needs no prompt', () => {
    expect(parse('--help').help).toBe(true);
    const flags =
      'model prompt-ids decode plan draft-length measure beta draft-model block-length strategy tokens-per-pass ' +
      'threshold temperature top-k top-p min-p seed presence-penalty ' +
      'frequency-penalty repetition-penalty logit-bias logprobs max-tokens min-tokens stop stop-ids ignore-eos ' +
      'json-schema regex grammar threads json help';
    const lines = GENERATE_HELP.split('\n');
    for (const flag of flags.split(' '))
      expect(lines.filter((line) => line.startsWith(`  --${flag} `))).toHaveLength(1);
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
    { args: ['--decode', 'beam', 'x'], says: 'speculative or diffusion; got "beam"' },
    { args: ['--decode', 'ar', '--beta', '0.5', 'x'], says: '--beta needs --decode tidar' },
    { args: ['--decode', 'ar', '--draft-length', '4', 'x'], says: '--draft-length needs' },
    { args: ['--decode', 'ar', '--plan', 'auto', 'x'], says: '--plan needs' },
    { args: ['--plan', 'best', 'x'], says: 'auto, dense, sparse, branches or two-pass; got "best"' },
    { args: ['--plan', 'auto', '--beta', '0.5', 'x'], says: '--beta below 1 needs --plan dense' },
    { args: ['--plan', 'dense', '--measure', 'x'], says: '--measure' },
    { args: ['--decode', 'ar', '--measure', 'x'], says: '--measure' },
    { args: ['--decode', 'speculative', 'x'], says: 'needs --draft-model' },
    { args: ['--decode', 'ar', '--draft-model', 'd', 'x'], says: '--draft-model needs --decode speculative' },
    { args: ['--draft-model', 'd', '--plan', 'auto', 'x'], says: '--plan needs --decode tidar' },
    { args: ['--block-length', '8', 'x'], says: '--block-length needs --decode diffusion' },
    { args: ['--strategy', 'random', 'x'], says: 'left-to-right; got "random"' },
    { args: ['--decode', 'diffusion', '--block-length', '65', 'x'], says: 'from 1 to 64' },
    { args: ['--strategy', 'threshold', '--tokens-per-pass', '2', 'x'], says: '--tokens-per-pass' },
    { args: ['--strategy', 'confidence', '--threshold', '0.7', 'x'], says: '--threshold' },
    { args: ['--decode', 'diffusion', '--threshold', '0', 'x'], says: 'more than 0' },
    { args: ['--presence-penalty', '2.1', 'x'], says: 'a number from -2 to 2' },
    { args: ['--frequency-penalty', '-3', 'x'], says: 'got "-3"' },
    { args: ['--repetition-penalty', '0', 'x'], says: 'more than 0' },
    { args: ['--logit-bias', '5', 'x'], says: 'like 5:-100,17:2.5' },
    { args: ['--logit-bias', '5:101', 'x'], says: 'got "5:101"' },
    { args: ['--logit-bias', '5:1,5:2', 'x'], says: 'twice' },
    { args: ['--min-tokens', '-1', 'x'], says: '--min-tokens' },
    { args: ['--logprobs', '21', 'x'], says: 'from 0 to 20' },
    { args: ['--stop-ids', 'a', 'x'], says: '--stop-ids must be token ids' },
    { args: ['--regex', '', 'x'], says: '--regex' },
    { args: ['--regex', 'a', '--grammar', 'f', 'x'], says: 'Give one of' },
    { args: ['--prompt-ids', '1,,2'], says: '--prompt-ids' },
    { args: ['--prompt-ids', '1', 'x'], says: 'not both' },
    { args: ['--stop', '', 'x'], says: '--stop must not be empty' },
    { args: [...'--stop a --stop b --stop c --stop d --stop e'.split(' '), 'x'], says: '4 times' },
  ])('are refused in one sentence: $args', ({ args, says }) => {
    expect(() => parse(...args)).toThrowError(FlagError);
    expect(() => parse(...args)).toThrowError(says);
  });
});
