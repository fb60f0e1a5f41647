import type { ChatInput } from '@tidar/shared/chat.ts';
import { describe, expect, it } from 'vitest';
import { llamaCppFile } from '../model/testing/llama-cpp-files.ts';
import { isSpecial, loadTiny, refusal, TINY_TOKENIZER_CONFIG } from '../model/testing/tiny-tokenizer.ts';
import type { Tokenizer } from '../model/tokenizer.ts';
import { chatPromptIds } from './chat-prompt.ts';

const withTemplate = (chat_template: string): Tokenizer =>
  loadTiny({ tokenizerConfig: { ...TINY_TOKENIZER_CONFIG, chat_template } });
const real = (name: string): Tokenizer =>
  withTemplate(llamaCppFile(`models/templates/${name}.jinja`).toString());

const parameters = { type: 'object', properties: { city: { type: 'string' } } };
const user = { role: 'user' as const, content: 'Weather?' };
const chat: ChatInput = {
  type: 'chat',
  tools: [{ name: 'get_weather', description: 'Of a city', parameters, strict: false }],
  messages: [
    user,
    {
      role: 'assistant',
      content: '',
      tool_calls: [{ id: 'call_of_another_server_1', name: 'get_weather', arguments: '{"city": "Köln"}' }],
    },
    { role: 'tool', tool_call_id: 'call_of_another_server_1', content: '{"sky": "rain"}' },
  ],
};
const promptOf = (input: ChatInput, tokenizer: Tokenizer): string =>
  tokenizer.decode(chatPromptIds(input, tokenizer));

describe('the prompt of a chat with tools', () => {
  it.each([
    'Qwen-Qwen2.5-7B-Instruct',
    'Qwen-Qwen3-0.6B',
    'meta-llama-Llama-3.1-8B-Instruct',
    'meta-llama-Llama-3.2-3B-Instruct',
    'mistralai-Mistral-Nemo-Instruct-2407',
    'mistralai-Ministral-3-14B-Reasoning-2512',
    'NVIDIA-Nemotron-Nano-v2',
    'NVIDIA-Nemotron-3-Nano-30B-A3B-BF16',
  ])('has tools, call and result, whatever server named the call: %s', (name) => {
    const prompt = promptOf(chat, real(name));
    expect(prompt).toContain('Of a city');
    expect(prompt).toMatch(/get_weather[^]*Köln[^]*rain/);
  });

  it('has ids that Mistral’s templates take: the same for a call and its result', () => {
    const prompt = promptOf(chat, real('mistralai-Mistral-Nemo-Instruct-2407'));
    const [, called] = /"id": "(\w{9})"/.exec(prompt) ?? [];
    expect(called).toBeDefined();
    expect(prompt).toContain(`"call_id": "${called}"`);
    const short = JSON.parse(
      JSON.stringify(chat).replaceAll('call_of_another_server_1', 'abc123XYZ'),
    ) as ChatInput;
    expect(promptOf(short, real('mistralai-Mistral-Nemo-Instruct-2407'))).toContain('"id": "abc123XYZ"');
  });

  it('names the function that a result is of', () => {
    const template =
      '{% for m in messages %}{{ m.name }}|{% endfor %}{{ tools and \'<tool_call>{"name"\' }}{{ tool_calls }}';
    expect(promptOf(chat, withTemplate(template))).toContain('||get_weather|');
  });

  it('does not show the tools to a model that must not call', () => {
    const { tools: _, ...without } = chat;
    for (const name of ['Qwen-Qwen3-0.6B', 'meta-llama-Llama-3.2-3B-Instruct'])
      expect(promptOf({ ...chat, tool_choice: 'none' }, real(name))).toBe(promptOf(without, real(name)));
  });

  it('takes the template for tools where a model brings one beside its usual one', () => {
    const chat_template = [
      { name: 'default', template: 'plain {{ tool_calls }}' },
      { name: 'tool_use', template: 'tools <tool_call>{"name" {{ tool_calls }}' },
    ];
    const tokenizer = loadTiny({ tokenizerConfig: { ...TINY_TOKENIZER_CONFIG, chat_template } });
    expect(promptOf(chat, tokenizer)).toContain('tools');
    expect(promptOf({ type: 'chat', messages: [user] }, tokenizer)).toContain('plain');
  });
});

describe('what a template has no words for is refused by its name:', () => {
  const refused = (input: ChatInput, tokenizer: Tokenizer) => refusal(() => chatPromptIds(input, tokenizer));

  it('tools', () => {
    const error = refused({ ...chat, messages: [user] }, loadTiny());
    expect(error).toMatchObject({ code: 'invalid_request', param: 'tools' });
    expect(error.message).toContain('chat template knows no tools');
  });

  it('tools whose calls could not be read', () => {
    const error = refused({ ...chat, messages: [user] }, real('GLM-4.6'));
    expect(error.param).toBe('tools');
    expect(error.message).toContain('--tool-format');
  });

  it('calls and results', () => {
    const { tools: _, ...without } = chat;
    expect(refused(without, loadTiny()).param).toBe('messages[1]');
  });

  it('a choice without tools, or of none of them', () => {
    const tokenizer = real('Qwen-Qwen3-0.6B');
    const plain: ChatInput = { type: 'chat', messages: [user], tool_choice: 'required' };
    expect(refused(plain, tokenizer).param).toBe('tool_choice');
    expect(refused({ ...chat, tool_choice: { name: 'other' } }, tokenizer).param).toBe('tool_choice');
  });

  it.each([
    ['enable_thought', "no variable 'enable_thought'"],
    ['a b', "no variable 'a b'"],
    ['messages', 'set by the server'],
    ['tools', 'set by the server'],
    ['eos_token', 'set by the server'],
  ])('a variable: %s', (name, sentence) => {
    const input: ChatInput = { type: 'chat', messages: [user], template_variables: { [name]: 1 } };
    const error = refused(input, real('Qwen-Qwen3-0.6B'));
    expect(error.param).toBe(`template_variables.${name}`);
    expect(error.message).toContain(sentence);
  });
});

describe('a variable of the template', () => {
  it('switches thinking off where the template has it', () => {
    const tokenizer = real('Qwen-Qwen3-0.6B');
    const input: ChatInput = { type: 'chat', messages: [user] };
    expect(promptOf(input, tokenizer)).not.toContain('<think>');
    const off = { ...input, template_variables: { enable_thinking: false } };
    expect(promptOf(off, tokenizer)).toMatch(/<think>\n\n<\/think>\n\n$/);
  });

  it('smuggles no special token in', () => {
    const tokenizer = withTemplate('{{ x }}');
    const input: ChatInput = { type: 'chat', messages: [user], template_variables: { x: '<|end|>a' } };
    const ids = chatPromptIds(input, tokenizer);
    expect(ids.filter(isSpecial)).toEqual([]);
    expect(tokenizer.decode(ids)).toBe('<|end|>a');
  });
});
