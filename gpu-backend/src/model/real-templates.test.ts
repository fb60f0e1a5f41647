import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { ChatMessage } from './chat-template.ts';
import { parseChatTemplate } from './chat-template.ts';
import { llamaCppFile } from './testing/llama-cpp-files.ts';
import { fixturePath } from './testing/temporary-folder.ts';
import { isSpecial, loadTiny, TINY_TOKENIZER_CONFIG } from './testing/tiny-tokenizer.ts';

interface Chat {
  readonly name: string;
  readonly messages: ChatMessage[];
  readonly tools?: object[];
  readonly variables?: Record<string, unknown>;
}

const read = <T>(name: string): T =>
  JSON.parse(readFileSync(join(fixturePath('chat-templates'), name), 'utf8')) as T;
const cases = read<{ templates: Record<string, Record<string, string>>; chats: Chat[] }>('cases.json');
const expected = read<{ template: string; chat: string; text: string }[]>('expected.json');

const sourceOf = (template: string): string => llamaCppFile(`models/templates/${template}.jinja`).toString();
const chatOf = (name: string): Chat => cases.chats.find((chat) => chat.name === name)!;

describe('real chat templates render as with Python’s jinja2, set as transformers sets it:', () => {
  it.each(expected)('$template, $chat', ({ template, chat, text }) => {
    const render = parseChatTemplate(sourceOf(template), cases.templates[template]!, template);
    const { messages, tools, variables } = chatOf(chat);
    const date = { date_string: '26 Jul 2024' };
    expect(render(messages, { ...(tools ? { tools } : {}), variables: { ...variables, ...date } })).toBe(
      text,
    );
  });

  it('each of them, with each chat', () => {
    expect(expected).toHaveLength(Object.keys(cases.templates).length * cases.chats.length);
  });
});

describe('a chat with tools', () => {
  const SPECIALS = ['<|user|>', '<|end|>'];
  const chat_template = sourceOf('Qwen-Qwen3-0.6B');

  it('has no special token that a description, a name, an argument or an answer smuggles in', () => {
    const tokenizer = loadTiny({ tokenizerConfig: { ...TINY_TOKENIZER_CONFIG, chat_template } });
    const { messages, tools } = chatOf('a tool, its call and its answer');
    const poison = (value: unknown): unknown => {
      if (typeof value === 'string') return `${value}${SPECIALS.join('')}`;
      if (Array.isArray(value)) return value.map(poison);
      if (typeof value !== 'object' || value === null) return value;
      return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, poison(item)]));
    };
    const poisoned = messages.map(({ role, ...fields }) => ({
      role,
      ...(poison(fields) as Omit<ChatMessage, 'role'>),
    }));
    const poisonedTools = [
      { ...(poison(tools![0]) as object), parameters: { properties: { '<|user|>': {} } } },
    ];
    const ids = tokenizer.encodeChat(poisoned, { tools: poisonedTools });
    expect(ids.filter(isSpecial)).toEqual([]);
    expect(tokenizer.decode(ids)).toBe(tokenizer.applyChatTemplate(poisoned, { tools: poisonedTools }));
    expect(tokenizer.decode(ids).split('<|user|>').length).toBeGreaterThan(10);
  });
});
