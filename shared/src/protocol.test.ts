import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ERRORS, errorBody, errorBodySchema, retryAfterHeader, TidarError } from './errors.ts';
import { parse, parseJson } from './parse.ts';
import {
  encodeGenerateEvent,
  type GenerateEvent,
  type GenerateRequestInput,
  generateRequestSchema,
  parseEventId,
  parseGenerateEvent,
} from './protocol.ts';
import { SseDecoder } from './sse.ts';

const request: GenerateRequestInput = {
  request_id: 'req_1',
  model: 'demo',
  input: { type: 'chat', messages: [{ role: 'user', content: 'What is 2 + 3?' }] },
  sampling: { seed: '18446744073709551615' },
  decoder: { type: 'tidar', draft_length: 16 },
};

/** The request with one value changed, so that each refusal has one cause. */
const refusal = (change: object): unknown => {
  try {
    return parse(generateRequestSchema, { ...request, ...change });
  } catch (error) {
    return error;
  }
};

describe('generate request', () => {
  it('fills in the defaults of what is left out', () => {
    expect(parse(generateRequestSchema, request)).toEqual({
      ...request,
      num_choices: 1,
      sampling: {
        temperature: 1,
        top_k: 0,
        top_p: 1,
        min_p: 0,
        presence_penalty: 0,
        frequency_penalty: 0,
        repetition_penalty: 1,
        logit_bias: [],
        min_tokens: 0,
        seed: '18446744073709551615',
      },
      decoder: { type: 'tidar', plan: 'auto', draft_length: 16, beta: 1 },
      stop: [],
      stop_token_ids: [],
      ignore_eos: false,
      trace: 'none',
      store: true,
    });
  });

  it.each([
    ['an unknown key', { temprature: 1 }, 'unknown_parameter', 'temprature'],
    ['an unknown key inside', { sampling: { seed: '1', heat: 1 } }, 'unknown_parameter', 'sampling.heat'],
    ['a seed of 65 bits', { sampling: { seed: '18446744073709551616' } }, 'invalid_request', 'sampling.seed'],
    ['a seed as number', { sampling: { seed: 7 } }, 'invalid_request', 'sampling.seed'],
    ['no token to generate', { max_tokens: 0 }, 'invalid_request', 'max_tokens'],
    ['an empty stop string', { stop: [''] }, 'invalid_request', 'stop[0]'],
    ['a fifth stop string', { stop: ['a', 'b', 'c', 'd', 'e'] }, 'invalid_request', 'stop'],
    [
      'a draft of 65',
      { decoder: { type: 'tidar', draft_length: 65 } },
      'invalid_request',
      'decoder.draft_length',
    ],
    [
      'a draft length for ar',
      { decoder: { type: 'ar', draft_length: 4 } },
      'unknown_parameter',
      'decoder.draft_length',
    ],
    [
      'trust below 1 with a plan whose text is not defined then',
      { decoder: { type: 'tidar', draft_length: 4, beta: 0.5 } },
      'invalid_request',
      'decoder.beta',
    ],
    [
      'an unknown plan',
      { decoder: { type: 'tidar', draft_length: 4, plan: 'fast' } },
      'invalid_request',
      'decoder.plan',
    ],
    ['no choice', { num_choices: 0 }, 'invalid_request', 'num_choices'],
    ['too many choices', { num_choices: 17 }, 'invalid_request', 'num_choices'],
    ['21 alternatives', { logprobs: 21 }, 'invalid_request', 'logprobs'],
    ['6 alternatives in the prompt', { prompt_logprobs: 6 }, 'invalid_request', 'prompt_logprobs'],
    ...(
      [
        ['presence_penalty', 2.1],
        ['frequency_penalty', -2.1],
        ['repetition_penalty', 0],
        ['temperature', 2.1],
        ['top_p', 0],
        ['min_p', 1],
        ['top_k', -1],
        ['min_tokens', -1],
      ] as const
    ).map(([name, value]): [string, object, string, string] => [
      `${name} of ${value}`,
      { sampling: { seed: '1', [name]: value } },
      'invalid_request',
      `sampling.${name}`,
    ]),
    [
      'a bias of 101',
      { sampling: { seed: '1', logit_bias: [[5, 101]] } },
      'invalid_request',
      'sampling.logit_bias[0][1]',
    ],
    [
      'a token biased twice',
      {
        sampling: {
          seed: '1',
          logit_bias: [
            [5, 1],
            [5, 2],
          ],
        },
      },
      'invalid_request',
      'sampling.logit_bias',
    ],
    ['an unknown form', { grammar: { type: 'yaml' } }, 'invalid_request', 'grammar.type'],
    [
      'a schema that is none',
      { grammar: { type: 'json_schema', schema: [] } },
      'invalid_request',
      'grammar.schema',
    ],
    ['an empty pattern', { grammar: { type: 'regex', pattern: '' } }, 'invalid_request', 'grammar.pattern'],
    ['an empty grammar', { grammar: { type: 'grammar', ebnf: '' } }, 'invalid_request', 'grammar.ebnf'],
    [
      'resumed tokens without their choices',
      { resume: { prompt_token_ids: [1], token_ids: [1] } },
      'invalid_request',
      'resume.token_ids[0]',
    ],
    ['an unknown decoder', { decoder: { type: 'magic' } }, 'invalid_request', 'decoder.type'],
    ['an empty prompt', { input: { type: 'tokens', token_ids: [] } }, 'invalid_request', 'input.token_ids'],
    [
      'a negative token',
      { input: { type: 'tokens', token_ids: [-1] } },
      'invalid_request',
      'input.token_ids[0]',
    ],
  ])('refuses %s by its name', (_, change, code, param) => {
    expect(refusal(change)).toMatchObject({ code, param, message: expect.stringContaining(`'${param}'`) });
  });

  it('keeps a JSON schema as it was written, order and odd names included', () => {
    const text =
      '{"type":"object","properties":{"b":{},"a":{"const":1.50},"__proto__":{"type":"null"}},"required":["__proto__"]}';
    const schema: unknown = JSON.parse(text);
    const parsed = parse(generateRequestSchema, { ...request, grammar: { type: 'json_schema', schema } });
    expect(JSON.stringify(parsed.grammar)).toBe(
      `{"type":"json_schema","schema":${JSON.stringify(JSON.parse(text))}}`,
    );
  });

  it('refuses text that is not JSON', () => {
    expect(() => parseJson(generateRequestSchema, '{"a":')).toThrow(
      expect.objectContaining({ code: 'invalid_json' }),
    );
  });
});

describe('generate events', () => {
  const usage = { prompt_tokens: 3, completion_tokens: 2, cached_tokens: 0, num_forward_passes: 1 };
  const stats = { rows: 20, drafted: 4, accepted: 2, milliseconds: 1.5, plan: 'auto', sequences: 3 };
  const score = { token_id: 4, token: '€', bytes: [226, 130, 172], logprob: -0.25 };
  const logprob = { ...score, top: [score, { token_id: 2, token: '<|end|>', bytes: null, logprob: -3 }] };
  const start = {
    request_id: 'r',
    num_prompt_tokens: 3,
    num_cached_tokens: 0,
    seed: '7',
    fingerprint: 'f',
    model: 'm',
  };
  const events: GenerateEvent[] = [
    { type: 'start', prompt_token_ids: [1, 2, 3], prompt_logprobs: [null, logprob, logprob], ...start },
    { type: 'step', choice: 0, token_ids: [4, 5], text: 'a\r\n\u2028€', stats },
    { type: 'step', choice: 15, token_ids: [6], text: '', logprobs: [logprob] },
    { type: 'finish', choice: 15, finish_reason: 'length' },
    { type: 'end', usage },
    { type: 'error', error: { code: 'overloaded', message: 'Busy.', retryable: true, retry_after_ms: 1500 } },
  ];

  it('survive the wire unchanged, with the counts of tokens as SSE id', () => {
    const messages = new SseDecoder().push(
      new TextEncoder().encode(events.map((event, index) => encodeGenerateEvent(event, [index, 7])).join('')),
    );
    expect(messages.map(parseGenerateEvent)).toEqual(events);
    expect(messages.map(({ id, event }) => [id, event])).toEqual(
      events.map(({ type }, index) => [`${index},7`, type]),
    );
  });

  it('have ids that are read back as the counts of each choice', () => {
    const counts = fc.array(fc.maxSafeNat(), { minLength: 1, maxLength: 16 });
    fc.assert(
      fc.property(counts, (numTokens) => {
        const [message] = new SseDecoder().push(
          new TextEncoder().encode(encodeGenerateEvent(events[1]!, numTokens)),
        );
        expect(parseEventId(message?.id ?? '', numTokens.length)).toEqual(numTokens);
        expect(parseEventId(message?.id ?? '', numTokens.length + 1)).toBeUndefined();
      }),
    );
  });

  it.each(['', ',', '1,', ',1', '01', '-1', '1.5', '1e3', ' 1', '9007199254740992', 'x', '1;2'])(
    'have no id that reads %j',
    (id) => {
      for (const numChoices of [1, 2]) expect(parseEventId(id, numChoices)).toBeUndefined();
    },
  );

  it.each(['', '{', '{}', '{"type":"party"}', '{"type":"step","choice":0,"token_ids":[1.5],"text":""}'])(
    'that cannot be read are the fault of the backend: %s',
    (data) => {
      expect(() => parseGenerateEvent({ data })).toThrow(
        expect.objectContaining({ code: 'backend_unavailable' }),
      );
    },
  );
});

describe('errors', () => {
  it('carry their public part over the wire and keep the internal one', () => {
    const sent = new TidarError('overloaded', 'Try again.', { internal: 'queue at 900', param: 'model' });
    const body = errorBody(sent);
    expect(JSON.stringify(body)).not.toContain('900');
    expect(TidarError.from(errorBodySchema.parse(body).error)).toMatchObject({
      code: 'overloaded',
      message: 'Try again.',
      retryable: true,
      param: 'model',
    });
  });

  it('never show what an unexpected exception said', () => {
    expect(JSON.stringify(errorBody(new Error('password is hunter2')))).not.toContain('hunter2');
    expect(errorBody('thrown text').error.code).toBe('internal');
  });

  it('that are worth another try say when, in whole seconds that are never too few', () => {
    fc.assert(
      fc.property(fc.double({ min: 0, max: 1e7, noNaN: true }), (retryAfterMs) => {
        const sent = new TidarError('overloaded', 'Busy.', { retryAfterMs });
        const received = TidarError.from(errorBodySchema.parse(errorBody(sent)).error);
        const seconds = Number(retryAfterHeader(received)['retry-after']);
        expect(seconds).toBeGreaterThanOrEqual(1);
        expect(seconds * 1000).toBeGreaterThanOrEqual(retryAfterMs);
        expect(seconds * 1000).toBeLessThan(Math.max(1, retryAfterMs) + 2000);
      }),
    );
    expect(retryAfterHeader(new TidarError('overloaded', 'Busy.'))).toEqual({ 'retry-after': '1' });
    expect(retryAfterHeader(new TidarError('internal', 'Broken.'))).toEqual({});
  });

  it('have a status of 4xx or 5xx each', () => {
    for (const { httpStatus } of Object.values(ERRORS)) {
      expect(httpStatus).toBeGreaterThanOrEqual(400);
      expect(httpStatus).toBeLessThan(600);
    }
  });
});
