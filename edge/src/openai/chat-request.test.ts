import { parse } from '@tidar/shared/parse.ts';
import { type GenerateRequest, generateRequestSchema, type ModelInfo } from '@tidar/shared/protocol.ts';
import { describe, expect, it } from 'vitest';
import { holdTokens, toGenerateRequest } from './chat-request.ts';
import { chatRequestSchema } from './chat-schema.ts';

const model: ModelInfo = {
  id: 'demo',
  fingerprint: 'f',
  context_length: 256,
  block_size: 16,
  draft_length: 4,
  has_tokenizer: true,
  created: 0,
};
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
      sampling: { temperature: 1, top_p: 1, top_k: 0, min_p: 0 },
      decoder: { type: 'tidar', draft_length: 4, beta: 1 },
      stop: [],
      trace: 'none',
    });
    expect(convert({})).not.toHaveProperty('max_tokens');
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
      { decoder: { type: 'tidar', draft_length: 7, beta: 1 } },
    ],
    ['tidar.beta', { tidar: { beta: 0.5 } }, { decoder: { type: 'tidar', draft_length: 4, beta: 0.5 } }],
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

  it.each([
    ['heat', { heat: 1 }, 'unknown_parameter'],
    ['tidar.heat', { tidar: { heat: 1 } }, 'unknown_parameter'],
    ['stream_options.heat', { stream_options: { heat: 1 } }, 'unknown_parameter'],
    ['messages[0].name', { messages: [{ role: 'user', content: 'a', name: 'Bob' }] }, 'unknown_parameter'],
    ['model', { model: undefined }, 'invalid_request'],
    ['messages', { messages: undefined }, 'invalid_request'],
    ['messages', { messages: [] }, 'invalid_request'],
    ['messages[0].role', { messages: [{ role: 'tool', content: 'a' }] }, 'invalid_request'],
    ['messages[0].content', { messages: [{ role: 'user' }] }, 'invalid_request'],
    [
      'messages[0].content[0].type',
      { messages: [{ role: 'user', content: [{ type: 'image_url' }] }] },
      'invalid_request',
    ],
    ['max_tokens', { max_tokens: 0 }, 'invalid_request'],
    ['max_tokens', { max_tokens: 1.5 }, 'invalid_request'],
    ['max_tokens', { max_tokens: 257 }, 'invalid_request'],
    ['max_tokens', { max_tokens: 5, max_completion_tokens: 5 }, 'invalid_request'],
    ['max_completion_tokens', { max_completion_tokens: 0 }, 'invalid_request'],
    ['temperature', { temperature: 2.1 }, 'invalid_request'],
    ['temperature', { temperature: '1' }, 'invalid_request'],
    ['top_p', { top_p: 0 }, 'invalid_request'],
    ['seed', { seed: 1.5 }, 'invalid_request'],
    ['seed', { seed: 2 ** 60 }, 'invalid_request'],
    ['seed', { seed: '18446744073709551616' }, 'invalid_request'],
    ['stop', { stop: '' }, 'invalid_request'],
    ['stop', { stop: ['a', 'b', 'c', 'd', 'e'] }, 'invalid_request'],
    ['n', { n: 2 }, 'invalid_request'],
    ['presence_penalty', { presence_penalty: 0.5 }, 'invalid_request'],
    ['frequency_penalty', { frequency_penalty: -1 }, 'invalid_request'],
    ['logprobs', { logprobs: true }, 'invalid_request'],
    ['logit_bias.50', { logit_bias: { 50: 1 } }, 'invalid_request'],
    ['tools', { tools: [{ type: 'function' }] }, 'invalid_request'],
    ['response_format.type', { response_format: { type: 'json_object' } }, 'invalid_request'],
    ['store', { store: true }, 'invalid_request'],
    ['reasoning_effort', { reasoning_effort: 'low' }, 'invalid_request'],
    ['service_tier', { service_tier: 'auto' }, 'invalid_request'],
    ['metadata.a', { metadata: { a: 1 } }, 'invalid_request'],
    ['tidar.draft_length', { tidar: { draft_length: 65 } }, 'invalid_request'],
    ['tidar.draft_length', { tidar: { decoder: 'ar', draft_length: 4 } }, 'invalid_request'],
    ['tidar.beta', { tidar: { decoder: 'ar', beta: 1 } }, 'invalid_request'],
    ['tidar.trace', { tidar: { trace: 'full' } }, 'invalid_request'],
  ])('refuses %s by its name: %j', (param, change, code) => {
    expect(refusal(change)).toMatchObject({ code, param, message: expect.stringContaining(`'${param}'`) });
  });
});

describe('hold', () => {
  it('is never less than any prompt and answer can cost, nor more than the context', () => {
    const request = convert({ max_tokens: 10 });
    const body = new TextEncoder().encode(JSON.stringify(request));
    expect(holdTokens(request, body, { ...model, context_length: 10_000 })).toBe(body.length + 10);
    expect(holdTokens(convert({}), body, model)).toBe(256);
  });
});
