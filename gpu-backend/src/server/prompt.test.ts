import type { LeasePayload } from '@tidar/shared/lease.ts';
import { parse } from '@tidar/shared/parse.ts';
import type { GenerateRequestInput } from '@tidar/shared/protocol.ts';
import { generateRequestSchema, samplingParamsSchema } from '@tidar/shared/protocol.ts';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import type { ModelFolder } from '../model/folder.ts';
import { loadModelFolder } from '../model/folder.ts';
import { loadTiny } from '../model/testing/tiny-tokenizer.ts';
import type { Tokenizer } from '../model/tokenizer.ts';
import type { PreparedRequest } from './prompt.ts';
import { prepareRequest } from './prompt.ts';

const FIXTURE = fileURLToPath(new URL('../../../test/fixtures/llama-tidar', import.meta.url));
const bare = loadModelFolder(FIXTURE);
let tokenizer: Tokenizer | undefined;
/** The same with a tokenizer; of the same vocabulary it need not be for what is checked here. */
const folder = (): ModelFolder => ({ ...bare, tokenizer: (tokenizer ??= loadTiny()) });

const request: GenerateRequestInput = {
  request_id: 'r',
  model: 'llama-tidar',
  input: { type: 'tokens', token_ids: [1, 2, 3] },
  max_tokens: 20,
  sampling: { seed: '9' },
  decoder: { type: 'tidar', draft_length: 4 },
};
const lease = { tenant: 'ann', end_token: 1000 } as LeasePayload;

const prepare = (
  changes: Partial<GenerateRequestInput> = {},
  grant: LeasePayload = lease,
  of: ModelFolder = folder(),
): PreparedRequest => prepareRequest(of, parse(generateRequestSchema, { ...request, ...changes }), grant);

/** Every parameter of the protocol with another value than its default, and what it makes of the engine's request. */
const EFFECTS: Record<string, [change: Partial<GenerateRequestInput>, expected: object]> = {
  input: [{ input: { type: 'tokens', token_ids: [5] } }, { generate: { promptIds: [5] } }],
  num_choices: [{ num_choices: 3 }, { numChoices: 3 }],
  max_tokens: [{ max_tokens: 7 }, { generate: { maxTokens: 7 } }],
  stop: [{ stop: ['a'] }, { stop: ['a'] }],
  stop_token_ids: [{ stop_token_ids: [6] }, { generate: { stopTokenIds: [6] } }],
  ignore_eos: [{ ignore_eos: true }, { generate: { ignoreEos: true } }],
  decoder: [
    { decoder: { type: 'tidar', plan: 'dense', draft_length: 3, beta: 0.5 } },
    { generate: { decoder: { type: 'tidar', plan: 'dense', draftLength: 3, beta: 0.5 } } },
  ],
  grammar: [
    { grammar: { type: 'regex', pattern: 'a' } },
    { generate: { grammar: { type: 'regex', pattern: 'a' } } },
  ],
  logprobs: [{ logprobs: 0 }, { generate: { logprobs: 0 } }],
  prompt_logprobs: [{ prompt_logprobs: 2 }, { generate: { promptLogprobs: 2 } }],
  resume: [
    { num_choices: 2, resume: { prompt_token_ids: [8], token_ids: [[4], [5, 6]] } },
    { generate: { promptIds: [8] }, committedByChoice: [[4], [5, 6]] },
  ],
};
const SAMPLING_EFFECTS: Record<string, [value: unknown, expected: object]> = {
  temperature: [0.5, { temperature: 0.5 }],
  top_k: [5, { topK: 5 }],
  top_p: [0.5, { topP: 0.5 }],
  min_p: [0.25, { minP: 0.25 }],
  presence_penalty: [-1, { presencePenalty: -1 }],
  frequency_penalty: [2, { frequencyPenalty: 2 }],
  repetition_penalty: [1.5, { repetitionPenalty: 1.5 }],
  logit_bias: [[[7, -100]], { logitBias: [[7, -100]] }],
  min_tokens: [3, { minTokens: 3 }],
  seed: ['18446744073709551615', { seed: (1n << 64n) - 1n }],
};
/** What names the request, or is for the server itself. */
const NOT_FOR_THE_ENGINE = ['store', 'request_id', 'model', 'trace', 'sampling'];

describe('a request', () => {
  it('has no parameter that would not reach the engine', () => {
    const known = [...Object.keys(EFFECTS), ...NOT_FOR_THE_ENGINE];
    expect(known.toSorted()).toEqual(Object.keys(generateRequestSchema.shape).toSorted());
    expect(Object.keys(SAMPLING_EFFECTS).toSorted()).toEqual(
      Object.keys(samplingParamsSchema.shape).toSorted(),
    );
  });

  it.each(Object.entries(EFFECTS))('gives the engine %s', (_, [change, expected]) => {
    expect(prepare(change).engineRequest).toMatchObject(expected);
    expect(prepare().engineRequest).not.toMatchObject(expected);
  });

  it.each(Object.entries(SAMPLING_EFFECTS))('gives the engine %s', (name, [value, expected]) => {
    const changed = prepare({ sampling: { seed: '9', [name]: value } }).engineRequest;
    expect(changed.generate.sampling).toMatchObject(expected);
    expect(prepare().engineRequest.generate.sampling).not.toMatchObject(expected);
  });

  it('that asks for nothing special is the plain law', () => {
    const { generate, ...rest } = prepare({ decoder: { type: 'ar' } }).engineRequest;
    expect(rest).toEqual({ numChoices: 1, stop: [], tenant: 'ann', endToken: 1000 });
    expect(generate).toEqual({
      promptIds: [1, 2, 3],
      maxTokens: 20,
      decoder: { type: 'ar' },
      stopTokenIds: [],
      ignoreEos: false,
      sampling: {
        temperature: 1,
        topK: 0,
        topP: 1,
        minP: 0,
        seed: 9n,
        presencePenalty: 0,
        frequencyPenalty: 0,
        repetitionPenalty: 1,
        logitBias: [],
        minTokens: 0,
      },
    });
  });

  it('goes no further than its lease for now, and to its own length in the end', () => {
    const short = prepare({}, { ...lease, end_token: 5 });
    expect(short).toMatchObject({ engineRequest: { endToken: 5, generate: { maxTokens: 20 } } });
  });

  it('fills the context where it names no limit', () => {
    const { generate } = prepare({ max_tokens: undefined }).engineRequest;
    expect(generate.maxTokens).toBe(bare.config.maxPositions - 3);
  });

  it.each<[string, Partial<GenerateRequestInput>, RegExp]>([
    ['stop_token_ids', { stop_token_ids: [48] }, /48.*vocabulary of 48/],
    ['logit_bias', { sampling: { seed: '9', logit_bias: [[48, 1]] } }, /48/],
    ['min_tokens', { sampling: { seed: '9', min_tokens: 21 } }, /20/],
    ['resume', { num_choices: 2, resume: { prompt_token_ids: [1], token_ids: [[4]] } }, /1 choices.* 2/],
    ['resume', { resume: { prompt_token_ids: [1], token_ids: [[48]] } }, /48/],
    ['resume', { max_tokens: 2, resume: { prompt_token_ids: [1], token_ids: [[4, 5]] } }, /2 tokens of 2/],
    [
      'resume',
      { max_tokens: 2, num_choices: 2, resume: { prompt_token_ids: [1], token_ids: [[4], [4, 5, 6]] } },
      /1, 3 tokens of 2/,
    ],
    ['stop', { stop: ['\ud800'] }, /well-formed/],
    ['ignore_eos', { ignore_eos: true, grammar: { type: 'json_object' } }, /grammar/],
  ])('is refused by name where only the model tells: %s, %j', (param, change, sentence) => {
    expect(() => prepare(change)).toThrow(
      expect.objectContaining({ code: 'invalid_request', param, message: expect.stringMatching(sentence) }),
    );
  });

  it.each<[string, Partial<GenerateRequestInput>]>([
    ['stop', { stop: ['a'] }],
    ['grammar', { grammar: { type: 'json_object' } }],
    ['input', { input: { type: 'text', text: 'a' } }],
  ])('that needs a tokenizer is refused by %s where there is none', (param, change) => {
    expect(() => prepare(change, lease, bare)).toThrow(expect.objectContaining({ param }));
  });

  it('for more numbers of its prompt than an event should hold is refused', () => {
    const config = { ...bare.config, maxPositions: 100_000 };
    const input = { type: 'tokens' as const, token_ids: Array<number>(10_000).fill(1) };
    const ask = (promptLogprobs: number): PreparedRequest =>
      prepare({ input, prompt_logprobs: promptLogprobs }, lease, { ...folder(), config });
    expect(ask(4).promptIds).toHaveLength(10_000);
    expect(() => ask(5)).toThrow(expect.objectContaining({ param: 'prompt_logprobs' }));
  });
});
