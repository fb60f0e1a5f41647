import { TidarError } from '@tidar/shared/errors.ts';
import { parse } from '@tidar/shared/parse.ts';
import { type GenerateRequest, generateRequestSchema } from '@tidar/shared/protocol.ts';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { chatRequestSchema } from './chat-schema.ts';
import { toGenerateRequest } from './chat-request.ts';
import { commonParameters } from './common-schema.ts';
import { completionGenerateRequest } from './completion-request.ts';
import { completionRequestSchema } from './completion-schema.ts';
import { completionNames, inClientTerms } from './param-names.ts';
import { model } from './testing.ts';

const asked = (change: object) =>
  parse(completionRequestSchema, { model: 'demo', prompt: 'Once', ...change });
const convert = (change: object): GenerateRequest =>
  // What the backend would make of it: the two schemas must agree.
  parse(generateRequestSchema, completionGenerateRequest(asked(change), model, 'req_1'));

function refusal(change: object): unknown {
  try {
    return convert(change);
  } catch (error) {
    return error;
  }
}

describe('completion request', () => {
  it.each([
    ['Once', { type: 'text', text: 'Once' }],
    [['Once'], { type: 'text', text: 'Once' }],
    [[5, 6], { type: 'tokens', token_ids: [5, 6] }],
    [[[5, 6]], { type: 'tokens', token_ids: [5, 6] }],
    [[5], { type: 'tokens', token_ids: [5] }],
  ])('takes a prompt as text or token ids, alone or in a list: %j', (prompt, input) => {
    expect(convert({ prompt }).input).toEqual(input);
  });

  it('makes of the parameters that it shares with a chat completion the same', () => {
    const real = (min: number, max: number): fc.Arbitrary<number> => fc.double({ min, max, noNaN: true });
    const shared = fc.record(
      {
        temperature: real(0, 2),
        top_p: real(0.01, 1),
        seed: fc.maxSafeInteger(),
        stop: fc.oneof(fc.constant('a'), fc.constant(['a', 'b'])),
        n: fc.integer({ min: 1, max: 16 }),
        presence_penalty: real(-2, 2),
        frequency_penalty: real(-2, 2),
        logit_bias: fc.dictionary(fc.nat().map(String), real(-100, 100), { maxKeys: 3 }),
        max_tokens: fc.integer({ min: 1, max: 256 }),
        tidar: fc.constantFrom(
          { decoder: 'ar', top_k: 4, min_p: 0.1, repetition_penalty: 1.1, min_tokens: 2 },
          { plan: 'dense', beta: 0.5, draft_length: 3, ignore_eos: true, stop_token_ids: [1] },
          { decoder: 'diffusion', strategy: 'threshold', threshold: 0.5, trace: 'stats' },
          { regex: 'a+', prompt_logprobs: 2 },
        ),
      },
      { requiredKeys: ['seed', 'max_tokens'] },
    );
    fc.assert(
      fc.property(shared, (change) => {
        const messages = [{ role: 'user', content: 'Once' }];
        const chat = parse(chatRequestSchema, { model: 'demo', messages, ...change });
        const { input: _, ...expected } = parse(
          generateRequestSchema,
          toGenerateRequest(chat, model, 'req_1'),
        );
        expect(convert(change)).toMatchObject(expected);
      }),
    );
  });

  it('has 16 tokens by default, as with OpenAI, and asks for log-probabilities by their number', () => {
    expect(convert({}).max_tokens).toBe(16);
    expect(convert({}).logprobs).toBeUndefined();
    expect(convert({ logprobs: 0 }).logprobs).toBe(0);
    expect(convert({ logprobs: 3 }).prompt_logprobs).toBeUndefined();
    expect(convert({ logprobs: 3, echo: true })).toMatchObject({ logprobs: 3, prompt_logprobs: 3 });
  });

  it.each([
    ['heat', { heat: 1 }, 'unknown_parameter'],
    ['messages', { messages: [] }, 'unknown_parameter'],
    ['prompt', { prompt: undefined }, 'invalid_request'],
    ['prompt', { prompt: '' }, 'invalid_request'],
    ['prompt', { prompt: [] }, 'invalid_request'],
    ['prompt', { prompt: ['a', 'b'] }, 'invalid_request'],
    ['prompt', { prompt: [[1], [2]] }, 'invalid_request'],
    ['prompt', { prompt: ['a', 1] }, 'invalid_request'],
    ['suffix', { suffix: 'end' }, 'invalid_request'],
    ['best_of', { best_of: 2 }, 'invalid_request'],
    ['best_of', { n: 3, best_of: 4 }, 'invalid_request'],
    ['max_tokens', { max_tokens: 0 }, 'invalid_request'],
    ['max_tokens', { max_tokens: 257 }, 'invalid_request'],
    ['logprobs', { logprobs: true }, 'invalid_request'],
    ['logprobs', { logprobs: 21 }, 'invalid_request'],
    ['logprobs', { logprobs: 6, echo: true }, 'invalid_request'],
    ['echo', { prompt: [1, 2], echo: true }, 'invalid_request'],
    ['echo', { echo: 1 }, 'invalid_request'],
    ['tidar.prompt_logprobs', { echo: true, logprobs: 1, tidar: { prompt_logprobs: 2 } }, 'invalid_request'],
    ['tidar.plan', { tidar: { decoder: 'ar', plan: 'auto' } }, 'invalid_request'],
  ])('refuses %s by its name: %j', (param, change, code) => {
    expect(refusal(change)).toMatchObject({ code, param, message: expect.stringContaining(`'${param}'`) });
  });

  it('has no parameter of its own that no test names', () => {
    const own = Object.keys(completionRequestSchema.shape).filter((name) => !(name in commonParameters));
    expect(own.toSorted()).toEqual(['best_of', 'echo', 'logprobs', 'max_tokens', 'prompt', 'suffix']);
  });

  it.each([
    ['input', 'prompt', {}],
    ['logprobs', 'logprobs', {}],
    ['prompt_logprobs', 'tidar.prompt_logprobs', {}],
    ['prompt_logprobs', 'logprobs', { echo: true }],
    ['sampling.top_k', 'tidar.top_k', {}],
    ['num_choices', 'n', {}],
    ['grammar.pattern', 'tidar.regex', { tidar: { regex: 'a' } }],
  ])('calls the parameter %s of the backend %s', (param, name, change) => {
    const error = new TidarError('invalid_request', 'No.', { param });
    expect(inClientTerms(error, completionNames(asked(change)))).toMatchObject({ param: name });
  });
});
