import { Ajv } from 'ajv';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { CallFormName } from '../../../model/answer/forms.ts';
import { CALL_FORMS } from '../../../model/answer/forms.ts';
import { parseChatTemplate } from '../../../model/chat-template.ts';
import { llamaCppFile } from '../../../model/testing/llama-cpp-files.ts';
import { refusal } from '../../../model/testing/tiny-tokenizer.ts';
import { readSpec } from '../read-spec.ts';
import type { ToolCallsSpec } from '../spec.ts';
import { drawTokens, makeRandom, takes } from '../testing.ts';
import type { Call } from './testing.ts';
import {
  BRACKET_MARKS,
  compiler,
  read,
  specOf,
  textOf,
  THOUGHTS,
  tokensOf,
  TOOLS,
  VOCABULARY,
} from './testing.ts';

const ajv = new Ajv();
function expectValid(calls: readonly Call[]): void {
  for (const { name, text } of calls) {
    const tool = TOOLS.find((each) => each.name === name);
    expect(tool).toBeDefined();
    expect(ajv.validate({ type: 'object', ...tool!.parameters }, JSON.parse(text))).toBe(true);
  }
}

describe.each(CALL_FORMS)('calls in the form of %s', (form) => {
  it('that must come are read from whatever a model draws, with names and arguments that are valid', async () => {
    const grammar = await compiler.compile(specOf(form));
    for (let seed = 1; seed <= 40; seed++) {
      const text = textOf(drawTokens(grammar.start(), VOCABULARY, makeRandom(seed), 60));
      const { told, calls, isComplete } = read(specOf(form), text);
      expect({ text, isComplete, told: told.text.trim() }).toEqual({ text, isComplete: true, told: '' });
      expectValid(calls);
    }
  });

  it('that may come leave all other texts as they are, and are valid where they come', async () => {
    const spec = specOf(form, { mode: 'auto' });
    const grammar = await compiler.compile(spec);
    for (let seed = 1; seed <= 40; seed++) {
      const text = textOf(drawTokens(grammar.start(), VOCABULARY, makeRandom(seed), 20));
      const { told, calls } = read(spec, text);
      expectValid(calls);
      if (calls.length === 0) expect(told.text).toBe(text);
    }
    const plain = fc
      .array(
        fc.oneof(fc.constantFrom('{', '\t', '\n', ' ', '<tool_cal', '\u00a0'), fc.string({ unit: 'binary' })),
      )
      .map((parts) => parts.join(''))
      .filter((text) => text.isWellFormed() && !/^[ \n]*\{/.test(text));
    fc.assert(
      fc.property(plain, (text) => {
        const tokens = [...new TextEncoder().encode(text)];
        expect(takes(grammar.start(), tokens, 256)).toBe(true);
        expect(read(spec, text).told.text).toBe(text);
      }),
      { numRuns: 60 },
    );
  });

  it('are not begun by a name that is none of the tools', async () => {
    const grammar = await compiler.compile(specOf(form, { mode: 'auto' }));
    const { text } = CALLS[form];
    expect(takes(grammar.start(), tokensOf(text), 256)).toBe(true);
    expect(takes(grammar.start(), tokensOf(text.replace('now', 'nox')), 256)).toBe(false);
  });

  it('may follow a thought, and must where the prompt ends in one', async () => {
    const thoughts = { thoughts: THOUGHTS };
    const { text } = CALLS[form];
    const after = `Hm, <tool_call> ${text.slice(0, 5)}</think>\n\n${text}`;
    const open = await compiler.compile(specOf(form, thoughts));
    expect(takes(open.start(), tokensOf(text), 256)).toBe(true);
    expect(takes(open.start(), tokensOf(`<think>Hm.</think>\n\n${text}`), 256)).toBe(true);
    const inside = await compiler.compile(specOf(form, { ...thoughts, isThinking: true }));
    expect(takes(inside.start(), tokensOf(text), 256)).toBe(false);
    if (!BRACKET_MARKS.some((mark) => after.slice(0, 30).includes(mark)))
      expect(takes(inside.start(), tokensOf(after), 256)).toBe(true);
  });
});

/** A call as each family writes it. */
const CALLS: Record<CallFormName, { text: string }> = {
  hermes: { text: '<tool_call>\n{"name": "now", "arguments": {}}\n</tool_call>' },
  llama: { text: '{"name": "now", "parameters": {}}' },
  mistral: { text: '[TOOL_CALLS][{"name": "now", "arguments": {}, "id": "abcdef123"}]' },
  'mistral-args': { text: '[TOOL_CALLS]now[ARGS]{}' },
  nemotron: { text: '<TOOLCALL>[{"name": "now", "arguments": {}}]</TOOLCALL>' },
  xml: { text: '<tool_call>\n<function=now>\n</function>\n</tool_call>' },
};

describe('a call as a chat template shows it to its model', () => {
  it.each([
    ['Qwen-Qwen2.5-7B-Instruct', 'hermes', '<|im_end|>'],
    ['Qwen-Qwen3-0.6B', 'hermes', '<|im_end|>'],
    ['meta-llama-Llama-3.1-8B-Instruct', 'llama', '<|eot_id|>'],
    ['meta-llama-Llama-3.2-3B-Instruct', 'llama', '<|eot_id|>'],
    ['mistralai-Mistral-Nemo-Instruct-2407', 'mistral', '</s>'],
    ['mistralai-Ministral-3-14B-Reasoning-2512', 'mistral-args', '</s>'],
    ['NVIDIA-Nemotron-Nano-v2', 'nemotron', '<SPECIAL_12>'],
    ['NVIDIA-Nemotron-3-Nano-30B-A3B-BF16', 'xml', '<|im_end|>'],
    ['Qwen3-Coder', 'xml', '<|im_end|>'],
  ] as const)('is taken by the grammar, and read: %s', async (template, form, end) => {
    const source = llamaCppFile(`models/templates/${template}.jinja`).toString();
    const render = parseChatTemplate(source, { bos_token: '', eos_token: end }, template);
    const args = { city: 'Köln "1"', days: 2 };
    const call = {
      id: 'abcdef123',
      type: 'function' as const,
      function: { name: 'get_weather', arguments: args },
    };
    const user = { role: 'user' as const, content: 'Weather?' };
    // Followed by another turn, as in a conversation that goes on.
    const answer = { role: 'assistant' as const, content: '', tool_calls: [call] };
    const result = { role: 'tool' as const, content: 'rain', tool_call_id: 'abcdef123' };
    const before = render([user], { addGenerationPrompt: false });
    const shown = render([user, answer, result], { addGenerationPrompt: false }).slice(before.length);
    const text = shown
      .slice(0, shown.indexOf(end))
      .replace(/^[^]*?(?=<tool_call>|\[TOOL_CALLS\]|<TOOLCALL>|\{")/, '')
      .trimEnd();
    const tools = TOOLS.map(({ name, parameters, strict }) =>
      name === 'get_weather'
        ? {
            name,
            strict,
            parameters: {
              ...parameters,
              properties: { city: { type: 'string' }, days: { type: 'integer' } },
            },
          }
        : { name, parameters, strict },
    );
    const spec = specOf(form, { tools });
    const grammar = await compiler.compile(spec);
    expect({ text, isTaken: takes(grammar.start(), tokensOf(text), 256) }).toEqual({ text, isTaken: true });
    const { calls, isComplete } = read(spec, text);
    expect(isComplete).toBe(true);
    expect(calls.map(({ name, text: written }) => ({ name, args: JSON.parse(written) as unknown }))).toEqual([
      { name: 'get_weather', args },
    ]);
  });
});

describe('the schema of a function', () => {
  const unsupported = { type: 'object', properties: { a: { type: 'string', format: 'uri' } } };
  const spec = (strict: boolean): ToolCallsSpec =>
    specOf('hermes', { tools: [TOOLS[0]!, { name: 'f', parameters: unsupported, strict }] });

  it('that cannot be kept is refused by its place where it is strict', () => {
    const error = refusal(() => readSpec(spec(true)));
    expect(error.param).toBe('tools[1].function.parameters');
    expect(error.message).toContain('uri');
  });

  it('that cannot be kept asks for any object where it is not', async () => {
    const grammar = await compiler.compile(spec(false));
    const call = '<tool_call>{"name":"f","arguments":{"b":[1]}}</tool_call>';
    expect(takes(grammar.start(), tokensOf(call), 256)).toBe(true);
  });

  it('is kept beside a form of the text, one of which every answer has', async () => {
    const text = { type: 'json_schema' as const, schema: { enum: ['yes', 'no'] } };
    const grammar = await compiler.compile(specOf('hermes', { mode: 'auto', text }));
    expect(takes(grammar.start(), tokensOf('"yes"'), 256)).toBe(true);
    expect(takes(grammar.start(), tokensOf(CALLS.hermes.text), 256)).toBe(true);
    expect(takes(grammar.start(), tokensOf('yes'), 256)).toBe(false);
    const spec = specOf('hermes', { mode: 'auto', text: { type: 'json_object' } });
    const holding = `{"a": ${JSON.stringify(CALLS.hermes.text)}}`;
    expect(takes((await compiler.compile(spec)).start(), tokensOf(holding), 256)).toBe(true);
    expect(read(spec, holding)).toMatchObject({ told: { text: holding }, calls: [] });
  });

  it('allows one call where several are not wanted', async () => {
    const twice = `${CALLS.hermes.text}\n${CALLS.hermes.text}`;
    const [many, one] = [
      await compiler.compile(specOf('hermes')),
      await compiler.compile(specOf('hermes', { isParallel: false })),
    ];
    expect(takes(many.start(), tokensOf(twice), 256)).toBe(true);
    expect(takes(one.start(), tokensOf(twice), 256)).toBe(false);
  });
});

describe('a special token', () => {
  it('is not spelled by other tokens, and other tokens are not read as it', async () => {
    const grammar = await compiler.compile(specOf('mistral', { mode: 'auto' }));
    const spelled = [...new TextEncoder().encode('[TOOL_CALLS]')];
    expect(takes(grammar.start(), [...spelled, 33], 256)).toBe(true); // just text
    const mark = tokensOf('[TOOL_CALLS]');
    expect(takes(grammar.start(), [...mark, 33], 256)).toBe(false);
    const state = grammar.start();
    for (const byte of [0xff, 0xfe, 0xf5]) expect(state.accept(byte)).toBe(false);
  });
});
