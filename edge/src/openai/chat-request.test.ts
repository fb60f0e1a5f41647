import { parse } from '@tidar/shared/parse.ts';
import { type GenerateRequest, generateRequestSchema, type ModelInfo } from '@tidar/shared/protocol.ts';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { toGenerateRequest } from './chat-request.ts';
import { chatRequestSchema } from './chat-schema.ts';
import { holdOf } from './generate-request.ts';
import { model } from './testing.ts';

const messages = [{ role: 'user', content: 'Hello' }];

function convert(change: object, served: ModelInfo = model): GenerateRequest {
  const chat = parse(chatRequestSchema, { model: 'demo', messages, ...change });
  // What the backend would make of it: the two schemas must agree.
  return parse(generateRequestSchema, toGenerateRequest(chat, served, 'req_1'));
}

function refusal(change: object, served: ModelInfo = model): unknown {
  try {
    return convert(change, served);
  } catch (error) {
    return error;
  }
}

describe('chat request', () => {
  it('says nothing of max_tokens where the client did not: the backend fills the context', () => {
    expect(convert({})).toMatchObject({
      input: { type: 'chat', messages },
      sampling: { temperature: 1, top_p: 1, top_k: 0, min_p: 0, logit_bias: [], min_tokens: 0 },
      decoder: { type: 'tidar', plan: 'auto', draft_length: 16, beta: 1 },
      num_choices: 1,
      stop: [],
      trace: 'none',
    });
    for (const name of ['max_tokens', 'logprobs', 'prompt_logprobs', 'grammar']) {
      expect(convert({})).not.toHaveProperty(name);
    }
  });

  it.each([
    ['max_tokens', { max_tokens: 7 }, { max_tokens: 7 }],
    ['max_completion_tokens', { max_completion_tokens: 256 }, { max_tokens: 256 }],
    ['temperature 0', { temperature: 0 }, { sampling: { temperature: 0 } }],
    ['top_p', { top_p: 0.5 }, { sampling: { top_p: 0.5 } }],
    ['a seed', { seed: 42 }, { sampling: { seed: '42' } }],
    ['a negative seed as its 64 bits', { seed: -1 }, { sampling: { seed: '18446744073709551615' } }],
    [
      'the seed that an answer named',
      { seed: '18446744073709551615' },
      { sampling: { seed: '18446744073709551615' } },
    ],
    ['a stop string', { stop: 'END' }, { stop: ['END'] }],
    ['four stop strings', { stop: ['a', 'b', 'c', 'd'] }, { stop: ['a', 'b', 'c', 'd'] }],
    ['tidar.top_k and min_p', { tidar: { top_k: 5, min_p: 0.1 } }, { sampling: { top_k: 5, min_p: 0.1 } }],
    ['tidar.decoder ar', { tidar: { decoder: 'ar' } }, { decoder: { type: 'ar' } }],
    [
      'tidar.draft_length',
      { tidar: { draft_length: 7 } },
      { decoder: { type: 'tidar', plan: 'auto', draft_length: 7, beta: 1 } },
    ],
    [
      'tidar.beta below 1, for which the dense plan is meant',
      { tidar: { beta: 0.5 } },
      { decoder: { type: 'tidar', plan: 'dense', draft_length: 4, beta: 0.5 } },
    ],
    [
      'tidar.plan, with the draft length of named plans',
      { tidar: { plan: 'two-pass' } },
      { decoder: { type: 'tidar', plan: 'two-pass', draft_length: 4, beta: 1 } },
    ],
    [
      'speculative decoding',
      { tidar: { decoder: 'speculative' } },
      { decoder: { type: 'speculative', draft_length: 4 } },
    ],
    [
      'block diffusion, in the model’s own blocks and by confidence where nothing is said',
      { tidar: { decoder: 'diffusion' } },
      { decoder: { type: 'diffusion', block_length: 16, strategy: 'confidence', tokens_per_pass: 1 } },
    ],
    [
      'block diffusion by the threshold that is given',
      { tidar: { decoder: 'diffusion', threshold: 0.7, block_length: 8 } },
      { decoder: { type: 'diffusion', block_length: 8, strategy: 'threshold', threshold: 0.7 } },
    ],
    ['n', { n: 3 }, { num_choices: 3 }],
    [
      'the penalties',
      { presence_penalty: 0.5, frequency_penalty: -1, tidar: { repetition_penalty: 1.2 } },
      { sampling: { presence_penalty: 0.5, frequency_penalty: -1, repetition_penalty: 1.2 } },
    ],
    [
      'logit_bias by token ids',
      { logit_bias: { 50: -100, 7: 1.5 } },
      {
        sampling: {
          logit_bias: [
            [7, 1.5],
            [50, -100],
          ],
        },
      },
    ],
    ['logprobs alone', { logprobs: true }, { logprobs: 0 }],
    ['logprobs with alternatives', { logprobs: true, top_logprobs: 20 }, { logprobs: 20 }],
    ['tidar.prompt_logprobs', { tidar: { prompt_logprobs: 2 } }, { prompt_logprobs: 2 }],
    [
      'tidar.min_tokens, ignore_eos and stop_token_ids',
      { tidar: { min_tokens: 3, ignore_eos: true, stop_token_ids: [5, 6] } },
      { sampling: { min_tokens: 3 }, ignore_eos: true, stop_token_ids: [5, 6] },
    ],
    ['a JSON object', { response_format: { type: 'json_object' } }, { grammar: { type: 'json_object' } }],
    [
      'a JSON schema',
      {
        response_format: {
          type: 'json_schema',
          json_schema: { name: 'a', strict: true, schema: { type: 'null' } },
        },
      },
      { grammar: { type: 'json_schema', schema: { type: 'null' } } },
    ],
    [
      'a JSON schema that is not there as any JSON object',
      { response_format: { type: 'json_schema', json_schema: { name: 'a' } } },
      { grammar: { type: 'json_object' } },
    ],
    ['tidar.regex', { tidar: { regex: '[ab]+' } }, { grammar: { type: 'regex', pattern: '[ab]+' } }],
    [
      'tidar.grammar',
      { tidar: { grammar: 'root ::= "a"' } },
      { grammar: { type: 'grammar', ebnf: 'root ::= "a"' } },
    ],
    ['tidar.trace', { tidar: { trace: 'stats' } }, { trace: 'stats' }],
  ])('passes %s on', (_, change, expected) => {
    expect(convert(change)).toMatchObject(expected);
  });

  it('draws another 64-bit seed each time that none is given', () => {
    const seeds = Array.from({ length: 50 }, () => convert({}).sampling.seed);
    expect(new Set(seeds).size).toBe(50);
    expect(seeds.some((seed) => BigInt(seed) > 1n << 53n)).toBe(true);
  });

  it('joins text parts, takes developer for system, and takes an answer back as it was given', () => {
    const history = [
      {
        role: 'developer',
        content: [
          { type: 'text', text: 'Be ' },
          { type: 'text', text: 'brief.' },
        ],
      },
      { role: 'user', content: 'Hi' },
      { role: 'assistant', content: 'Hello.', refusal: null, annotations: [] },
    ];
    expect(convert({ messages: history }).input).toEqual({
      type: 'chat',
      messages: [
        { role: 'system', content: 'Be brief.' },
        { role: 'user', content: 'Hi' },
        { role: 'assistant', content: 'Hello.' },
      ],
    });
  });

  it('takes null for what is not given, and every value that changes nothing', () => {
    const nulls = {
      max_tokens: null,
      temperature: null,
      top_p: null,
      seed: null,
      stop: null,
      stream: null,
      n: null,
    };
    const harmless = {
      n: 1,
      presence_penalty: 0,
      frequency_penalty: 0,
      logprobs: false,
      store: false,
      tools: [],
    };
    const more = {
      logit_bias: {},
      tool_choice: 'none',
      response_format: { type: 'text' },
      user: 'u',
      metadata: {},
    };
    expect(convert(nulls)).toMatchObject({ decoder: { type: 'tidar' } });
    expect(convert({ ...harmless, ...more })).toMatchObject({ decoder: { type: 'tidar' } });
  });

  it('decodes plainly where the model has no diffusion mode, and refuses to be asked for it', () => {
    const plain = { ...model, block_size: 0 };
    expect(convert({}, plain).decoder).toEqual({ type: 'ar' });
    expect(refusal({ tidar: { decoder: 'tidar' } }, plain)).toMatchObject({ param: 'tidar.decoder' });
  });
});

describe('hold', () => {
  it('is never less than any prompt and its choices can cost, nor more than that by more than the prompt', () => {
    const limits = fc.record({
      maxTokens: fc.option(fc.integer({ min: 1, max: 300 }), { nil: undefined }),
      numChoices: fc.integer({ min: 1, max: 16 }),
      contextLength: fc.integer({ min: 1, max: 300 }),
      numBytes: fc.integer({ min: 1, max: 400 }),
      price: fc.record({
        prompt: fc.nat({ max: 50 }),
        cached: fc.constant(0),
        completion: fc.nat({ max: 50 }),
      }),
    });
    fc.assert(
      fc.property(limits, ({ maxTokens, numChoices, contextLength, numBytes, price }) => {
        const request = {
          ...convert({ n: numChoices }),
          ...(maxTokens === undefined ? {} : { max_tokens: maxTokens }),
        };
        const sized = { ...model, context_length: contextLength };
        const held = holdOf(request, new Uint8Array(numBytes), sized, price);
        const costs = Array.from({ length: Math.min(numBytes, contextLength) + 1 }, (_, promptTokens) => {
          const room = contextLength - promptTokens;
          const completionTokens = numChoices * Math.min(maxTokens ?? room, room);
          const nanos = promptTokens * price.prompt + completionTokens * price.completion;
          return { tokens: promptTokens + completionTokens, nanos };
        });
        expect(held.tokens).toBe(Math.max(...costs.map(({ tokens }) => tokens)));
        expect(held.nanos).toBe(Math.max(...costs.map(({ nanos }) => nanos)));
      }),
    );
  });
});
