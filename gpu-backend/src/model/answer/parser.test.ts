import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { AnswerMarks } from './forms.ts';
import type { AnswerParts } from './parser.ts';
import { AnswerParser } from './parser.ts';

const THINK = { open: '<think>', close: '</think>' };

interface Read {
  reasoning: string;
  text: string;
  calls: { name: string; arguments: string }[];
}

/** Puts parts together, as clients do it. */
function joined(all: readonly AnswerParts[]): Read {
  const read: Read = { reasoning: '', text: '', calls: [] };
  for (const { reasoning, text, calls } of all) {
    read.reasoning += reasoning;
    read.text += text;
    for (const { index, name, arguments: more } of calls) {
      if (name !== undefined) read.calls[index] = { name, arguments: '' };
      read.calls[index]!.arguments += more;
    }
  }
  return read;
}

interface Sample {
  marks: AnswerMarks;
  isThinking?: boolean;
  text: string;
  read: Partial<Read>;
}

const weather = { name: 'get_weather', arguments: '{"city": "Köln", "days": 2}' };
const light = { name: 'turn_light', arguments: '{"on":true}' };

const TEXTS = { get_weather: ['city'], turn_light: [] };

/** As the models of each family write it. */
const SAMPLES: Record<string, Sample> = {
  'Qwen, text before two calls': {
    marks: { calls: 'hermes' },
    text:
      'I will look it up.\n<tool_call>\n{"name": "get_weather", "arguments": {"city": "Köln", "days": 2}}\n</tool_call>\n' +
      '<tool_call>\n{"name": "turn_light", "arguments": {"on":true}}\n</tool_call>',
    read: { text: 'I will look it up.', calls: [weather, light] },
  },
  'Qwen, thinking first': {
    marks: { calls: 'hermes', thoughts: THINK },
    text: '<think>\nIs it 3 < 4? <tool_call> is not yet due.\n</think>\n\n<tool_call>\n{"name": "turn_light", "arguments": {"on":true}}\n</tool_call>',
    read: { reasoning: 'Is it 3 < 4? <tool_call> is not yet due.', calls: [light] },
  },
  'Qwen, in a thought that its template opened': {
    marks: { calls: 'hermes', thoughts: THINK },
    isThinking: true,
    text: 'Easy.\n</think>\n\nFour.\n',
    read: { reasoning: 'Easy.', text: 'Four.\n' },
  },
  'Qwen, with marks that are none': {
    marks: { calls: 'hermes', thoughts: THINK },
    text: 'a <tool_cal> b </think> <think> \n <tool',
    read: { text: 'a <tool_cal> b </think> <think> \n <tool' },
  },
  'Llama, a call': {
    marks: { calls: 'llama' },
    text: '{"name": "get_weather", "parameters": {"city": "Köln", "days": 2}}',
    read: { calls: [weather] },
  },
  'Llama, a call behind its python tag': {
    marks: { calls: 'llama' },
    text: '<|python_tag|>{"name": "turn_light", "parameters": {"on":true}}',
    read: { calls: [light] },
  },
  'Llama, text with braces in it': {
    marks: { calls: 'llama' },
    text: ' So {"name": "x"} it is.',
    read: { text: ' So {"name": "x"} it is.' },
  },
  'Mistral, a list with ids': {
    marks: { calls: 'mistral' },
    text:
      '[TOOL_CALLS] [{"name": "get_weather", "arguments": {"city": "Köln", "days": 2}, "id": "abcdef123"}, ' +
      '{"name": "turn_light", "arguments": {"on":true}}]',
    read: { calls: [weather, light] },
  },
  'Ministral, names and arguments': {
    marks: { calls: 'mistral-args', thoughts: { open: '[THINK]', close: '[/THINK]' } },
    text:
      '[THINK]Rain?[/THINK]Let me see.[TOOL_CALLS]get_weather[ARGS]{"city": "Köln", "days": 2}' +
      '[TOOL_CALLS]turn_light[CALL_ID]abcdef123[ARGS]{"on":true}',
    read: { reasoning: 'Rain?', text: 'Let me see.', calls: [weather, light] },
  },
  'Nemotron, a list': {
    marks: { calls: 'nemotron', thoughts: THINK },
    isThinking: true,
    text:
      'Hm.</think>\n<TOOLCALL>[{"name": "get_weather", "arguments": {"city": "Köln", "days": 2}}, ' +
      '{"name": "turn_light", "arguments": {"on":true}}]</TOOLCALL>',
    read: { reasoning: 'Hm.', calls: [weather, light] },
  },
  'Nemotron 3 and Qwen3-Coder, parameters as tags': {
    marks: { calls: 'xml', thoughts: THINK },
    isThinking: true,
    text:
      'Hm.</think>\nI look.\n<tool_call>\n<function=get_weather>\n<parameter=city>\nKöln\n</parameter>\n<parameter=days>\n2\n' +
      '</parameter>\n</function>\n</tool_call>\n<tool_call>\n<function=turn_light>\n<parameter=on>\nTrue\n</parameter>\n</function>\n</tool_call>',
    read: {
      reasoning: 'Hm.',
      text: 'I look.',
      calls: [weather, { name: 'turn_light', arguments: '{"on": true}' }],
    },
  },
  'parameters as tags: texts of several lines, with what could be their end, and a function without any': {
    marks: { calls: 'xml' },
    text:
      '<tool_call>\n<function=note>\n<parameter=a "b">\n\n</parameter>\n<parameter=c>\n"1"\n</para> <x>\n\n</parameter>\n</function>\n' +
      '</tool_call>\n<tool_call>\n<function=now>\n</function>\n</tool_call>',
    read: {
      calls: [
        { name: 'note', arguments: '{"a \\"b\\"": "", "c": "\\"1\\"\\n</para> <x>\\n"}' },
        { name: 'now', arguments: '{}' },
      ],
    },
  },
  'strings that look like what surrounds them': {
    marks: { calls: 'hermes' },
    text: '<tool_call>{"name":"a\\u0062","arguments":{"x":"}]\\"</tool_call>{\\\\","y":[{"name":"c"}]},"id":"}"}</tool_call>',
    read: { calls: [{ name: 'ab', arguments: '{"x":"}]\\"</tool_call>{\\\\","y":[{"name":"c"}]}' }] },
  },
};

function parserOf({ marks, isThinking }: Sample): AnswerParser {
  return new AnswerParser(marks, { isThinking: isThinking ?? false, textParameters: TEXTS });
}

describe('a text of a model', () => {
  it.each(Object.entries(SAMPLES))('is taken apart: %s', (_, sample) => {
    const parser = parserOf(sample);
    const parts = [parser.push(sample.text), parser.flush()];
    expect(joined(parts)).toEqual({ reasoning: '', text: '', calls: [], ...sample.read });
    expect(parser.endsInCalls).toBe((sample.read.calls ?? []).length > 0);
  });

  it('is taken apart alike wherever it is cut, and after any of its characters as if these came alone', () => {
    const marks =
      '<function=f> <parameter=p> </parameter> </function> <tool_call> </tool_call> <think> </think> [TOOL_CALLS] [ARGS] <TOOLCALL>[ <|python_tag|>'.split(
        ' ',
      );
    const noise = fc
      .array(fc.oneof(fc.constantFrom(...marks, '{', '}', '"', '\n', ' '), fc.string({ unit: 'binary' })))
      .map((parts) => parts.join('').toWellFormed());
    const text = fc.oneof(fc.constantFrom(...Object.values(SAMPLES)), noise);
    fc.assert(
      fc.property(
        text,
        fc.constantFrom(...Object.values(SAMPLES)),
        fc.array(fc.nat()),
        (given, form, cuts) => {
          const sample = typeof given === 'string' ? { ...form, text: given } : given;
          const chars = Array.from(sample.text);
          const ends = cuts.map((cut) => cut % (chars.length + 1)).toSorted((a, b) => a - b);
          const parser = parserOf(sample);
          const told: AnswerParts[] = [];
          let start = 0;
          for (const end of [...ends, chars.length]) {
            told.push(parser.push(chars.slice(start, end).join('')));
            start = end;
            const alone = parserOf(sample);
            expect(joined(told)).toEqual(joined([alone.push(chars.slice(0, end).join(''))]));
          }
          const whole = parserOf(sample);
          const wholeParts = [whole.push(sample.text), whole.flush()];
          expect(joined([...told, parser.flush()])).toEqual(joined(wholeParts));
        },
      ),
      { numRuns: 500 },
    );
  });

  it('of a form of its own is no call for what it holds, but may be a call in its place', () => {
    const marks = { calls: 'hermes' as const, thoughts: THINK };
    const read = (text: string): Read => {
      const parser = new AnswerParser(marks, { isTextOrCalls: true });
      return joined([parser.push(text), parser.flush()]);
    };
    const object = '{"a": "<tool_call> <think>"}';
    expect(read(object)).toEqual({ reasoning: '', text: object, calls: [] });
    expect(read(`<think>Hm</think>\n${object}`)).toEqual({ reasoning: 'Hm', text: object, calls: [] });
    const call = '<tool_call>{"name": "turn_light", "arguments": {"on":true}}</tool_call>';
    expect(read(`<think>Hm</think>${call}`).calls).toEqual([light]);
  });

  it('comes in the order of thoughts, text and calls', () => {
    for (const sample of Object.values(SAMPLES)) {
      const parser = parserOf(sample);
      const kinds = Array.from(sample.text).flatMap((char) => {
        const { reasoning, text, calls } = parser.push(char);
        return [...(reasoning === '' ? [] : [0]), ...(text === '' ? [] : [1]), ...calls.map(() => 2)];
      });
      expect(kinds).toEqual(kinds.toSorted((a, b) => a - b));
    }
  });

  it('is not said to end in calls while one is open', () => {
    const parser = parserOf(SAMPLES['Llama, a call']!);
    parser.push('{"name": "get_weather", "parameters": {"city": "K');
    expect(parser.endsInCalls).toBe(false);
  });
});
