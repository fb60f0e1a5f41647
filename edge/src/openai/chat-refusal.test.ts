import { parse } from '@tidar/shared/parse.ts';
import { describe, expect, it } from 'vitest';
import { toGenerateRequest } from './chat-request.ts';
import { chatRequestSchema } from './chat-schema.ts';
import { model } from './testing.ts';

const messages = [{ role: 'user', content: 'Hello' }];

const tool = (changes: object = {}): object => ({ type: 'function', function: { name: 'a', ...changes } });
const calling = (args: string, name = 'a'): object => ({
  role: 'assistant',
  content: null,
  tool_calls: [{ id: 'x', type: 'function', function: { name, arguments: args } }],
});

function refusal(change: object): unknown {
  try {
    const chat = parse(chatRequestSchema, { model: 'demo', messages, ...change });
    return toGenerateRequest(chat, model, 'req_1');
  } catch (error) {
    return error;
  }
}

describe('chat request', () => {
  it.each([
    ['heat', { heat: 1 }, 'unknown_parameter'],
    ['tidar.heat', { tidar: { heat: 1 } }, 'unknown_parameter'],
    ['stream_options.heat', { stream_options: { heat: 1 } }, 'unknown_parameter'],
    ['messages[0].name', { messages: [{ role: 'user', content: 'a', name: 'Bob' }] }, 'unknown_parameter'],
    ['model', { model: undefined }, 'invalid_request'],
    ['messages', { messages: undefined }, 'invalid_request'],
    ['messages', { messages: [] }, 'invalid_request'],
    ['messages[0].role', { messages: [{ role: 'robot', content: 'a' }] }, 'invalid_request'],
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
    ['n', { n: 0 }, 'invalid_request'],
    ['n', { n: 17 }, 'invalid_request'],
    ['presence_penalty', { presence_penalty: 2.5 }, 'invalid_request'],
    ['frequency_penalty', { frequency_penalty: -3 }, 'invalid_request'],
    ['logprobs', { logprobs: 1 }, 'invalid_request'],
    ['top_logprobs', { logprobs: true, top_logprobs: 21 }, 'invalid_request'],
    ['top_logprobs', { top_logprobs: 2 }, 'invalid_request'],
    ['logit_bias', { logit_bias: [1] }, 'invalid_request'],
    [
      'logit_bias',
      { logit_bias: Object.fromEntries(Array.from({ length: 1025 }, (_, id) => [id, 1])) },
      'invalid_request',
    ],
    ['logit_bias.50', { logit_bias: { 50: 101 } }, 'invalid_request'],
    ['logit_bias.50', { logit_bias: { 50: '1' } }, 'invalid_request'],
    ['logit_bias.050', { logit_bias: { '050': 1 } }, 'invalid_request'],
    ['logit_bias.hello', { logit_bias: { hello: 1 } }, 'invalid_request'],
    ['logit_bias.__proto__', { logit_bias: JSON.parse('{"__proto__": 1}') as object }, 'invalid_request'],
    ['messages[0].tool_call_id', { messages: [{ role: 'tool', content: 'a' }] }, 'invalid_request'],
    [
      'messages[0].tool_call_id',
      { messages: [{ role: 'tool', content: 'a', tool_call_id: 'x' }] },
      'invalid_request',
    ],
    ['messages[0].content', { messages: [{ role: 'assistant', content: null }] }, 'invalid_request'],
    [
      'messages[1].name',
      { messages: [calling('{}'), { role: 'tool', tool_call_id: 'x', content: 'a', name: 'b' }] },
      'invalid_request',
    ],
    ['messages[0].tool_calls[0].function.arguments', { messages: [calling('{"a": 1')] }, 'invalid_request'],
    [
      'messages[0].tool_calls[0].function.arguments',
      { messages: [calling(`{"a":${'['.repeat(5_000)}${']'.repeat(5_000)}}`)] },
      'invalid_request',
    ],
    ['messages[0].tool_calls[0].function.arguments', { messages: [calling('[1]')] }, 'invalid_request'],
    ['messages[0].tool_calls[0].function.name', { messages: [calling('{}', 'a b')] }, 'invalid_request'],
    ['tools[0].function', { tools: [{ type: 'function' }] }, 'invalid_request'],
    ['tools[0].type', { tools: [{ type: 'custom', custom: { name: 'a' } }] }, 'invalid_request'],
    ['tools[0].function.name', { tools: [tool({ name: 'a b' })] }, 'invalid_request'],
    ['tools[0].function.parameters', { tools: [tool({ parameters: { type: 'array' } })] }, 'invalid_request'],
    ['tools[1].function.name', { tools: [tool(), tool()] }, 'invalid_request'],
    ['tools[0].function.returns', { tools: [tool({ returns: {} })] }, 'unknown_parameter'],
    ['tool_choice', { tool_choice: 'any', tools: [tool()] }, 'invalid_request'],
    [
      'tool_choice',
      { tool_choice: { type: 'function', function: { name: 'b' } }, tools: [tool()] },
      'invalid_request',
    ],
    ['tool_choice', { tool_choice: 'required' }, 'invalid_request'],
    ['parallel_tool_calls', { parallel_tool_calls: 1 }, 'invalid_request'],
    ['chat_template_kwargs', { chat_template_kwargs: [] }, 'invalid_request'],
    ['function_call', { function_call: 'auto' }, 'invalid_request'],
    ['functions', { functions: [] }, 'invalid_request'],
    ['response_format.type', { response_format: { type: 'xml' } }, 'invalid_request'],
    ['response_format.json_schema', { response_format: { type: 'json_schema' } }, 'invalid_request'],
    ['response_format.schema', { response_format: { type: 'json_object', schema: {} } }, 'unknown_parameter'],
    [
      'response_format.json_schema.name',
      { response_format: { type: 'json_schema', json_schema: { name: 'a b' } } },
      'invalid_request',
    ],
    [
      'response_format.json_schema.description',
      { response_format: { type: 'json_schema', json_schema: { name: 'a', description: 'b' } } },
      'invalid_request',
    ],
    [
      'response_format.json_schema.schema',
      { response_format: { type: 'json_schema', json_schema: { name: 'a', schema: 'b' } } },
      'invalid_request',
    ],
    ['tidar.regex', { response_format: { type: 'json_object' }, tidar: { regex: 'a' } }, 'invalid_request'],
    ['tidar.grammar', { tidar: { regex: 'a', grammar: 'root ::= "a"' } }, 'invalid_request'],
    ['tidar.plan', { tidar: { plan: 'fast' } }, 'invalid_request'],
    ['tidar.plan', { tidar: { decoder: 'ar', plan: 'auto' } }, 'invalid_request'],
    ['tidar.beta', { tidar: { plan: 'auto', beta: 0.9 } }, 'invalid_request'],
    ['tidar.beta', { tidar: { plan: 'sparse', beta: 0 } }, 'invalid_request'],
    ['tidar.repetition_penalty', { tidar: { repetition_penalty: 0 } }, 'invalid_request'],
    ['tidar.min_tokens', { tidar: { min_tokens: -1 } }, 'invalid_request'],
    ['tidar.stop_token_ids[0]', { tidar: { stop_token_ids: [-1] } }, 'invalid_request'],
    ['tidar.prompt_logprobs', { tidar: { prompt_logprobs: 6 } }, 'invalid_request'],
    ['store', { store: true }, 'invalid_request'],
    ['reasoning_effort', { reasoning_effort: 'low' }, 'invalid_request'],
    ['service_tier', { service_tier: 'auto' }, 'invalid_request'],
    ['metadata.a', { metadata: { a: 1 } }, 'invalid_request'],
    ['tidar.draft_length', { tidar: { draft_length: 65 } }, 'invalid_request'],
    ['tidar.draft_length', { tidar: { decoder: 'ar', draft_length: 4 } }, 'invalid_request'],
    ['tidar.beta', { tidar: { decoder: 'ar', beta: 1 } }, 'invalid_request'],
    ['tidar.decoder', { tidar: { decoder: 'beam' } }, 'invalid_request'],
    ['tidar.plan', { tidar: { decoder: 'speculative', plan: 'auto' } }, 'invalid_request'],
    ['tidar.block_length', { tidar: { block_length: 8 } }, 'invalid_request'],
    ['tidar.block_length', { tidar: { decoder: 'diffusion', block_length: 65 } }, 'invalid_request'],
    ['tidar.draft_length', { tidar: { decoder: 'diffusion', draft_length: 4 } }, 'invalid_request'],
    ['tidar.strategy', { tidar: { decoder: 'diffusion', strategy: 'random' } }, 'invalid_request'],
    ['tidar.tokens_per_pass', { tidar: { decoder: 'diffusion', tokens_per_pass: 0 } }, 'invalid_request'],
    [
      'tidar.tokens_per_pass',
      { tidar: { decoder: 'diffusion', threshold: 0.9, tokens_per_pass: 1 } },
      'invalid_request',
    ],
    [
      'tidar.threshold',
      { tidar: { decoder: 'diffusion', strategy: 'confidence', threshold: 0.9 } },
      'invalid_request',
    ],
    ['tidar.trace', { tidar: { trace: 'all' } }, 'invalid_request'],
  ])('refuses %s by its name: %j', (param, change, code) => {
    expect(refusal(change)).toMatchObject({ code, param, message: expect.stringContaining(`'${param}'`) });
  });
});
