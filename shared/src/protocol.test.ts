import { describe, expect, it } from 'vitest';
import { ERRORS, errorBody, errorBodySchema, TidarError } from './errors.ts';
import { parse, parseJson } from './parse.ts';
import {
  encodeGenerateEvent,
  type GenerateEvent,
  type GenerateRequestInput,
  generateRequestSchema,
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
      sampling: { temperature: 1, top_k: 0, top_p: 1, min_p: 0, seed: '18446744073709551615' },
      decoder: { type: 'tidar', draft_length: 16, beta: 1 },
      stop: [],
      trace: 'none',
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

  it('refuses text that is not JSON', () => {
    expect(() => parseJson(generateRequestSchema, '{"a":')).toThrow(
      expect.objectContaining({ code: 'invalid_json' }),
    );
  });
});

describe('generate events', () => {
  const usage = { prompt_tokens: 3, completion_tokens: 2, cached_tokens: 0, num_forward_passes: 1 };
  const stats = { rows: 20, drafted: 4, accepted: 2, milliseconds: 1.5 };
  const start = {
    request_id: 'r',
    num_prompt_tokens: 3,
    num_cached_tokens: 0,
    seed: '7',
    fingerprint: 'f',
    model: 'm',
  };
  const events: GenerateEvent[] = [
    { type: 'start', prompt_token_ids: [1, 2, 3], ...start },
    { type: 'step', choice: 0, token_ids: [4, 5], text: 'a\r\n\u2028€', stats },
    { type: 'step', choice: 0, token_ids: [6], text: '' },
    { type: 'end', choice: 0, finish_reason: 'stop', usage },
    { type: 'error', error: { code: 'overloaded', message: 'Busy.', retryable: true } },
  ];

  it('survive the wire unchanged, with the count of tokens as SSE id', () => {
    const messages = new SseDecoder().push(
      new TextEncoder().encode(events.map((event, index) => encodeGenerateEvent(event, index)).join('')),
    );
    expect(messages.map(parseGenerateEvent)).toEqual(events);
    expect(messages.map(({ id, event }) => [id, event])).toEqual(
      events.map(({ type }, index) => [String(index), type]),
    );
  });

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

  it('have a status of 4xx or 5xx each', () => {
    for (const { httpStatus } of Object.values(ERRORS)) {
      expect(httpStatus).toBeGreaterThanOrEqual(400);
      expect(httpStatus).toBeLessThan(600);
    }
  });
});
