import { TidarError } from '@tidar/shared/errors.ts';
import { parse } from '@tidar/shared/parse.ts';
import { type GenerateRequest, generateRequestSchema } from '@tidar/shared/protocol.ts';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { toGenerateRequest } from './chat-request.ts';
import { chatRequestSchema } from './chat-schema.ts';
import { tidarExtension } from './common-schema.ts';
import { model } from './testing.ts';

/** A parameter that reaches the backend: its values, and where the backend's request must have each. */
interface Mapped<Value> {
  values: fc.Arbitrary<Value>;
  /** What the request says of it. */
  read: (request: GenerateRequest) => unknown;
  /** What it must say; by default the value itself. */
  expected?: (value: Value) => unknown;
}
const mapped = <Value>(
  values: fc.Arbitrary<Value>,
  read: Mapped<Value>['read'],
  expected?: Mapped<Value>['expected'],
): Mapped<unknown> => ({ values, read, ...(expected && { expected }) }) as Mapped<unknown>;

const double = (min: number, max: number): fc.Arbitrary<number> => fc.double({ min, max, noNaN: true });
const decoderField =
  (name: string) =>
  ({ decoder }: GenerateRequest): unknown =>
    Object.entries(decoder).find(([field]) => field === name)?.[1];
const text = fc.string({ minLength: 1, maxLength: 8 });

const MAPPED: Record<string, Mapped<unknown>> = {
  model: mapped(fc.constant('demo'), ({ model: id }) => id),
  messages: mapped(
    fc.array(fc.record({ role: fc.constantFrom('system', 'user', 'assistant'), content: fc.string() }), {
      minLength: 1,
      maxLength: 3,
    }),
    ({ input }) => (input.type === 'chat' ? input.messages : undefined),
  ),
  max_tokens: mapped(fc.integer({ min: 1, max: 256 }), ({ max_tokens: value }) => value),
  max_completion_tokens: mapped(fc.integer({ min: 1, max: 256 }), ({ max_tokens: value }) => value),
  temperature: mapped(double(0, 2), ({ sampling }) => sampling.temperature),
  top_p: mapped(double(0.01, 1), ({ sampling }) => sampling.top_p),
  seed: mapped(
    fc.maxSafeInteger(),
    ({ sampling }) => sampling.seed,
    (seed) => String(BigInt.asUintN(64, BigInt(seed))),
  ),
  stop: mapped(fc.array(text, { maxLength: 4 }), ({ stop }) => stop),
  n: mapped(fc.integer({ min: 1, max: 16 }), ({ num_choices: value }) => value),
  presence_penalty: mapped(double(-2, 2), ({ sampling }) => sampling.presence_penalty),
  frequency_penalty: mapped(double(-2, 2), ({ sampling }) => sampling.frequency_penalty),
  logprobs: mapped(fc.boolean(), ({ logprobs }) => logprobs !== undefined),
  top_logprobs: mapped(fc.integer({ min: 0, max: 20 }), ({ logprobs }) => logprobs ?? 0),
  logit_bias: mapped(fc.dictionary(fc.nat().map(String), double(-100, 100), { maxKeys: 4 }), ({ sampling }) =>
    Object.fromEntries(sampling.logit_bias),
  ),
  tools: mapped(
    fc.constantFrom(
      [],
      [{ type: 'function', function: { name: 'a', strict: true, parameters: { type: 'object' } } }],
    ),
    ({ input }) => (input.type === 'chat' ? input.tools : undefined),
    (tools) =>
      (tools as []).map(({ function: tool }) => tool).at(0) && [
        { name: 'a', strict: true, parameters: { type: 'object' } },
      ],
  ),
  tool_choice: mapped(
    fc.constantFrom('none', 'auto', 'required', { type: 'function', function: { name: 'a' } }),
    ({ input }) => (input.type === 'chat' ? input.tool_choice : undefined),
    (choice) => (typeof choice === 'string' ? choice : { name: 'a' }),
  ),
  parallel_tool_calls: mapped(fc.boolean(), ({ input }) =>
    input.type === 'chat' ? input.parallel_tool_calls : undefined,
  ),
  chat_template_kwargs: mapped(fc.constantFrom({}, { enable_thinking: false }), ({ input }) =>
    input.type === 'chat' ? input.template_variables : undefined,
  ),
  response_format: mapped(
    fc.constantFrom(
      { type: 'text' },
      { type: 'json_object' },
      { type: 'json_schema', json_schema: { name: 'a', schema: { type: 'null' } } },
    ),
    ({ grammar }) => grammar,
    (format) =>
      ({
        text: undefined,
        json_object: { type: 'json_object' },
        json_schema: { type: 'json_schema', schema: { type: 'null' } },
      })[format.type],
  ),
};

const MAPPED_DECODER: Record<string, Mapped<unknown>> = {
  decoder: mapped(fc.constantFrom('ar', 'tidar', 'speculative', 'diffusion'), decoderField('type')),
  plan: mapped(fc.constantFrom('auto', 'dense', 'sparse', 'branches', 'two-pass'), decoderField('plan')),
  draft_length: mapped(fc.integer({ min: 1, max: 64 }), decoderField('draft_length')),
  beta: mapped(double(0, 1), decoderField('beta')),
  block_length: mapped(fc.integer({ min: 1, max: 64 }), decoderField('block_length')),
  strategy: mapped(fc.constantFrom('confidence', 'threshold', 'left-to-right'), decoderField('strategy')),
  tokens_per_pass: mapped(fc.integer({ min: 1, max: 64 }), decoderField('tokens_per_pass')),
  threshold: mapped(double(0.01, 1), decoderField('threshold')),
};

const MAPPED_EXTENSION: Record<string, Mapped<unknown>> = {
  ...MAPPED_DECODER,
  top_k: mapped(fc.nat(), ({ sampling }) => sampling.top_k),
  min_p: mapped(double(0, 0.99), ({ sampling }) => sampling.min_p),
  repetition_penalty: mapped(double(0.01, 10), ({ sampling }) => sampling.repetition_penalty),
  min_tokens: mapped(fc.nat({ max: 256 }), ({ sampling }) => sampling.min_tokens),
  ignore_eos: mapped(fc.boolean(), ({ ignore_eos: value }) => value),
  stop_token_ids: mapped(fc.array(fc.nat(), { maxLength: 4 }), ({ stop_token_ids: value }) => value),
  prompt_logprobs: mapped(fc.integer({ min: 0, max: 5 }), ({ prompt_logprobs: value }) => value),
  regex: mapped(
    text,
    ({ grammar }) => grammar,
    (pattern) => ({ type: 'regex', pattern }),
  ),
  grammar: mapped(
    text,
    ({ grammar }) => grammar,
    (ebnf) => ({ type: 'grammar', ebnf }),
  ),
  trace: mapped(fc.constantFrom('none', 'stats', 'full'), ({ trace }) => trace),
};

/** What the edge does itself: the backend does not hear of it. */
const OWN = ['stream', 'stream_options', 'user', 'metadata', 'tidar'];
/** What nobody does yet: every value that asks for something is refused. */
const REFUSED: Record<string, unknown> = {
  store: true,
  audio: { voice: 'a' },
  function_call: 'auto',
  functions: [],
  modalities: ['text'],
  prediction: {},
  prompt_cache_key: 'k',
  prompt_cache_retention: '24h',
  reasoning_effort: 'low',
  safety_identifier: 's',
  service_tier: 'auto',
  verbosity: 'low',
  web_search_options: {},
};

const optional = (parameters: Record<string, Mapped<unknown>>, requiredKeys: string[] = []) =>
  fc.record(Object.fromEntries(Object.entries(parameters).map(([name, { values }]) => [name, values])), {
    requiredKeys,
  });
const only = (names: string): Record<string, Mapped<unknown>> =>
  Object.fromEntries(Object.entries(MAPPED_EXTENSION).filter(([name]) => names.split(' ').includes(name)));
const others = Object.fromEntries(
  Object.entries(MAPPED_EXTENSION).filter(([name]) => !(name in MAPPED_DECODER)),
);
/** Any parameters of decoders, and more often such as belong together. */
const decoders = fc.oneof(
  { weight: 3, arbitrary: fc.constant({}) },
  optional(MAPPED_DECODER),
  optional(only('decoder plan draft_length beta')),
  ...['strategy block_length', 'block_length tokens_per_pass', 'block_length threshold'].map((names) =>
    optional(only(names)).map((rest) => ({ ...rest, decoder: 'diffusion' })),
  ),
);
const requests = fc.record({
  top: optional(MAPPED, ['model', 'messages']),
  tidar: fc.tuple(decoders, optional(others)).map(([decoder, rest]) => ({ ...decoder, ...rest })),
});

/** A parameter's name, without the part of it that is at fault. */
const rootOf = (param: string): string => /^(tidar\.)?\w+/.exec(param)?.[0] ?? '';

describe('every parameter of the schema', () => {
  it('is mapped to the backend, done by the edge or refused: none is left over', () => {
    const known = [...Object.keys(MAPPED), ...OWN, ...Object.keys(REFUSED)];
    expect(known.toSorted()).toEqual(Object.keys(chatRequestSchema.shape).toSorted());
    expect(Object.keys(MAPPED_EXTENSION).toSorted()).toEqual(Object.keys(tidarExtension.shape).toSorted());
  });

  it('reaches the backend as it was given, or the request is refused by the name of one that was given', () => {
    const reached = new Set<string>();
    fc.assert(
      fc.property(requests, ({ top, tidar }) => {
        const given = new Set([...Object.keys(top), ...Object.keys(tidar).map((name) => `tidar.${name}`)]);
        let request: GenerateRequest;
        try {
          const chat = parse(chatRequestSchema, { ...top, tidar });
          request = parse(generateRequestSchema, toGenerateRequest(chat, model, 'req_1'));
        } catch (error) {
          if (!(error instanceof TidarError)) throw error;
          expect(given).toContain(rootOf(error.param ?? ''));
          return;
        }
        const all = [
          ...Object.entries(top).map(([name, value]) => ({ name, value, parameter: MAPPED[name] })),
          ...Object.entries(tidar).map(([name, value]) => ({
            name,
            value,
            parameter: MAPPED_EXTENSION[name],
          })),
        ];
        for (const { name, value, parameter } of all) {
          const wanted = parameter?.expected === undefined ? value : parameter.expected(value);
          // A format that rules nothing leaves room for another that does.
          if (name === 'response_format' && wanted === undefined && request.grammar !== undefined) continue;
          expect({ [name]: parameter?.read(request) }).toEqual({ [name]: wanted });
          reached.add(name);
        }
      }),
      { seed: 51, numRuns: 5000 },
    );
    const all = [...Object.keys(MAPPED), ...Object.keys(MAPPED_EXTENSION)];
    expect(all.filter((name) => !reached.has(name))).toEqual([]);
  });

  it.each(Object.entries(REFUSED))('that nobody does yet is refused by its name: %s', (name, value) => {
    const chat = { model: 'demo', messages: [{ role: 'user', content: 'a' }], [name]: value };
    expect(() => parse(chatRequestSchema, chat)).toThrow(
      expect.objectContaining({ param: expect.stringMatching(`^${name}`) }),
    );
  });
});
