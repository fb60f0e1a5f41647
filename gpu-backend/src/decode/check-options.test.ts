import { TidarError } from '@tidar/shared/errors.ts';
import { describe, expect, it } from 'vitest';
import { PLAIN_SAMPLING } from '../engine/sampling/settings.ts';
import { loadModelFolder } from '../model/folder.ts';
import { fixturePath } from '../model/testing/temporary-folder.ts';
import { assertOptions } from './check-options.ts';
import type { Decoder } from './decoder.ts';
import type { GenerateOptions } from './generate.ts';

const { config } = loadModelFolder(fixturePath('llama-tidar')); // a context of 256, a vocabulary of 48

function refusal(changes: Partial<GenerateOptions>): TidarError | undefined {
  const plain = { promptIds: [1, 2], maxTokens: 8, sampling: PLAIN_SAMPLING, stopTokenIds: [] };
  try {
    assertOptions({ ...plain, decoder: { type: 'ar' }, ...changes }, config);
    return undefined;
  } catch (error) {
    expect(error).toBeInstanceOf(TidarError);
    return error as TidarError;
  }
}

const prompt = (length: number): number[] => Array.from({ length }, () => 3);
const beta: Decoder = { type: 'tidar', plan: 'dense', draftLength: 4, beta: 0.5 };

describe('a context that is too short', () => {
  it.each<[string, Partial<GenerateOptions>, RegExp | undefined]>([
    ['full to the last token', { promptIds: prompt(248) }, undefined],
    ['one token more', { promptIds: prompt(249) }, /256 tokens.*the prompt has 249 and 8 are asked for\.$/],
    ['a prompt as long as it', { promptIds: prompt(256), maxTokens: 1 }, /the prompt alone.*it has 256\.$/],
    ['a longer prompt', { promptIds: prompt(1206), maxTokens: 1 }, /the prompt alone.*it has 1206\.$/],
    ['full with blocks', { promptIds: prompt(240), decoder: beta }, undefined],
    [
      'no room for blocks',
      { promptIds: prompt(241), decoder: beta },
      /has 241 and 8 are asked for and 8 positions for drafts/,
    ],
    [
      'blocks alone are too much',
      { promptIds: prompt(248), decoder: beta, maxTokens: 1 },
      /alone.* 248 and 8/,
    ],
  ])('is told by its numbers: %s', (_, changes, sentence) => {
    const error = refusal(changes);
    expect(error?.code).toBe(sentence && 'context_length_exceeded');
    if (sentence !== undefined) expect(error?.message).toMatch(sentence);
  });
});

describe('what is refused by name', () => {
  it.each<[string, Partial<typeof PLAIN_SAMPLING>]>([
    ['presence_penalty', { presencePenalty: 2.1 }],
    ['frequency_penalty', { frequencyPenalty: NaN }],
    ['repetition_penalty', { repetitionPenalty: 0 }],
    ['logit_bias', { logitBias: [[48, 1]] }],
    ['logit_bias', { logitBias: [[1, 101]] }],
    ['min_tokens', { minTokens: 9 }],
    ['min_tokens', { minTokens: 0.5 }],
  ])('%s of %j', (param, changes) => {
    expect(refusal({ sampling: { ...PLAIN_SAMPLING, ...changes } })).toMatchObject({
      code: 'invalid_request',
      param,
    });
  });

  it.each<[string, Partial<GenerateOptions>]>([
    ['logprobs', { logprobs: 21 }],
    ['prompt_logprobs', { promptLogprobs: -1 }],
    ['ignore_eos', { ignoreEos: true, grammar: { type: 'regex', pattern: 'a' } }],
    ['beta', { decoder: { type: 'tidar', plan: 'auto', draftLength: 4, beta: 0.5 } }],
  ])('%s in %j', (param, changes) => {
    expect(refusal(changes)).toMatchObject({ code: 'invalid_request', param });
  });
});
