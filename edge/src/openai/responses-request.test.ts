import type { ChatMessage } from '@tidar/shared/chat.ts';
import { TidarError } from '@tidar/shared/errors.ts';
import { parse } from '@tidar/shared/parse.ts';
import { type GenerateRequest, generateRequestSchema } from '@tidar/shared/protocol.ts';
import type OpenAI from 'openai';
import { describe, expect, it } from 'vitest';
import { inClientTerms, responseNames } from './param-names.ts';
import { NOTHING_RECALLED, type Recalled } from './responses-input.ts';
import { responseGenerateRequest } from './responses-request.ts';
import { responseRequestSchema } from './responses-schema.ts';
import { model } from './testing.ts';

const asked = (change: object) => parse(responseRequestSchema, { model: 'demo', input: 'Hello', ...change });
const convert = (change: object, recalled: Recalled = NOTHING_RECALLED): GenerateRequest =>
  // What the backend would make of it: the two schemas must agree.
  parse(generateRequestSchema, responseGenerateRequest(asked(change), recalled, model, 'req_1'));

function refusal(change: object): unknown {
  try {
    return convert(change);
  } catch (error) {
    return error;
  }
}

describe('a response’s request', () => {
  it('has the instructions, then what was before, then the input, each in its role', () => {
    const before: ChatMessage[] = [
      { role: 'user', content: 'a' },
      { role: 'assistant', content: 'b' },
    ];
    const input = [
      { role: 'developer', content: 'c' },
      {
        type: 'message',
        id: 'msg_1',
        status: 'completed',
        role: 'assistant',
        content: [
          { type: 'output_text', text: 'd', annotations: [], logprobs: [] },
          { type: 'output_text', text: 'e' },
        ],
      },
      { role: 'user', content: [{ type: 'input_text', text: 'f' }] },
    ];
    expect(convert({ instructions: 'i', input }, { ...NOTHING_RECALLED, before }).input).toMatchObject({
      type: 'chat',
      messages: [
        { role: 'system', content: 'i' },
        ...before,
        { role: 'system', content: 'c' },
        { role: 'assistant', content: 'de' },
        { role: 'user', content: 'f' },
      ],
    });
  });

  it('puts the items of one answer into one message, those that are referred to too', () => {
    const answer = 'a'.repeat(32);
    const recalled = {
      role: 'assistant' as const,
      content: 'p',
      reasoning: 'q',
      tool_calls: [{ id: 'c0', name: 'f', arguments: '{}' }],
    };
    const input = [
      { role: 'user', content: 'a' },
      { type: 'reasoning', id: 'rs_1', summary: [], content: [{ type: 'reasoning_text', text: 'r' }] },
      { role: 'assistant', content: 'b' },
      { type: 'function_call', call_id: 'c1', name: 'f', arguments: '{"x":1}' },
      { type: 'function_call', call_id: 'c2', name: 'g', arguments: '{}', status: 'completed' },
      { type: 'function_call_output', call_id: 'c2', output: [{ type: 'input_text', text: 'two' }] },
      { type: 'function_call_output', call_id: 'c1', output: 'one' },
      { role: 'assistant', content: 'd' },
      { role: 'assistant', content: 'e' },
      { type: 'item_reference', id: `rs_${answer}` },
      { type: 'item_reference', id: `msg_${answer}` },
      { type: 'item_reference', id: `fc_${answer}_0` },
      { type: 'function_call_output', call_id: 'c0', output: 'zero' },
    ];
    const { input: chat } = convert({ input }, { before: [], answers: new Map([[answer, recalled]]) });
    expect(chat).toMatchObject({
      messages: [
        { role: 'user', content: 'a' },
        {
          role: 'assistant',
          reasoning: 'r',
          content: 'b',
          tool_calls: [
            { id: 'c1', name: 'f', arguments: '{"x":1}' },
            { id: 'c2', name: 'g', arguments: '{}' },
          ],
        },
        { role: 'tool', tool_call_id: 'c2', content: 'two' },
        { role: 'tool', tool_call_id: 'c1', content: 'one' },
        { role: 'assistant', content: 'd' },
        { role: 'assistant', content: 'e' },
        recalled,
        { role: 'tool', tool_call_id: 'c0', content: 'zero' },
      ],
    });
  });

  it('hands on every parameter that it takes', () => {
    const tidar = {
      seed: -1,
      stop: 'x',
      presence_penalty: 1,
      frequency_penalty: -1,
      logit_bias: { 3: 2 },
      top_k: 4,
      decoder: 'ar',
      trace: 'stats',
    };
    const request = convert({
      max_output_tokens: 9,
      temperature: 0.5,
      top_p: 0.25,
      include: ['message.output_text.logprobs'],
      top_logprobs: 3,
      store: false,
      text: { format: { type: 'json_schema', name: 'n', schema: { type: 'null' }, strict: true } },
      tidar,
    });
    expect(request).toMatchObject({
      max_tokens: 9,
      logprobs: 3,
      store: false,
      stop: ['x'],
      num_choices: 1,
      trace: 'stats',
      decoder: { type: 'ar' },
      grammar: { type: 'json_schema', schema: { type: 'null' } },
      sampling: {
        temperature: 0.5,
        top_p: 0.25,
        top_k: 4,
        presence_penalty: 1,
        frequency_penalty: -1,
        logit_bias: [[3, 2]],
        seed: '18446744073709551615',
      },
    });
  });

  const REFUSED: [string, object, RegExp][] = [
    ['tools[0].type', { tools: [{ type: 'web_search' }] }, /'function'/],
    ['tool_choice', { tool_choice: 'required' }, /no 'tools'/],
    ['tool_choice', { tool_choice: { type: 'function', name: 'g' } }, /does not have/],
    ['background', { background: true }, /only false/],
    ['truncation', { truncation: 'auto' }, /only disabled/],
    ['service_tier', { service_tier: 'priority' }, /one tier/],
    ['reasoning.effort', { reasoning: { effort: 'high' } }, /only none/],
    ['conversation', { conversation: 'conv_1' }, /not supported/],
    ['include[0]', { include: ['reasoning.encrypted_content'] }, /can be included/],
    ['top_logprobs', { top_logprobs: 2 }, /include/],
    ['input', { input: undefined }, /expected a text or a list/],
    ['input', { input: [] }, /at least one item/],
    ['input[0].type', { input: [{ type: 'computer_call', id: 'a' }] }, /function_call/],
    [
      'input[0].call_id',
      { input: [{ type: 'function_call_output', call_id: 'a', output: 'b' }] },
      /call before/,
    ],
    ['input[0].id', { input: [{ type: 'item_reference', id: `msg_${'0'.repeat(32)}` }] }, /no such item/],
    ['input[0].id', { input: [{ type: 'item_reference', id: 'resp_1' }] }, /id of an item/],
    [
      'input[0].content[0].type',
      { input: [{ role: 'user', content: [{ type: 'input_image', image_url: 'a' }] }] },
      /input_text/,
    ],
    ['text.format.type', { text: { format: { type: 'xml' } } }, /json_schema/],
    ['text.verbosity', { text: { verbosity: 'high' } }, /only medium/],
    ['max_output_tokens', { max_output_tokens: 1_000_000 }, /context/],
    ['tidar.heat', { tidar: { heat: 1 } }, /Unknown/],
    ['messages', { messages: [] }, /Unknown/],
    ['seed', { seed: 1 }, /Unknown/],
    ['tidar.regex', { text: { format: { type: 'json_object' } }, tidar: { regex: 'a' } }, /only one/],
  ];

  it.each(REFUSED)('is refused by the name %s for %j, with a sentence', (param, change, sentence) => {
    expect(refusal(change)).toMatchObject({ param, message: expect.stringMatching(sentence) });
  });

  it('is told of the backend’s parameters by the names that it has for them', () => {
    const nameOf = (change: object, param: string): string | undefined => {
      const error = new TidarError('invalid_request', 'No.', { param });
      return inClientTerms(error, responseNames(asked(change))).param;
    };
    expect(nameOf({}, 'prompt')).toBe('input');
    expect(nameOf({}, 'max_tokens')).toBe('max_output_tokens');
    expect(nameOf({}, 'sampling.logit_bias')).toBe('tidar.logit_bias');
    expect(nameOf({}, 'grammar.schema')).toBe('text.format');
    expect(nameOf({ tidar: { regex: 'a' } }, 'grammar')).toBe('tidar.regex');
    expect(nameOf({}, 'decoder.beta')).toBe('tidar.beta');
  });

  it('knows every parameter of the client’s own, and has none beside but the extension', () => {
    type Known = keyof OpenAI.Responses.ResponseCreateParams;
    const known: Record<Known, true> = {
      access_programs: true,
      background: true,
      context_management: true,
      conversation: true,
      image: true,
      include: true,
      input: true,
      instructions: true,
      max_output_tokens: true,
      max_tool_calls: true,
      metadata: true,
      model: true,
      moderation: true,
      parallel_tool_calls: true,
      previous_response_id: true,
      prompt: true,
      prompt_cache_key: true,
      prompt_cache_options: true,
      prompt_cache_retention: true,
      reasoning: true,
      safety_identifier: true,
      service_tier: true,
      store: true,
      stream: true,
      stream_options: true,
      temperature: true,
      text: true,
      tool_choice: true,
      tools: true,
      top_logprobs: true,
      top_p: true,
      truncation: true,
      user: true,
    };
    const names = Object.keys(responseRequestSchema.shape);
    expect(names.sort()).toEqual([...Object.keys(known), 'tidar'].sort());
  });
});
