import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  loadTiny,
  refusal,
  TINY_TOKENIZER_CONFIG,
  tinyTokenizerJson,
} from '../model/testing/tiny-tokenizer.ts';
import type { Tokenizer } from '../model/tokenizer.ts';
import type { AnswerForm } from './answer-form.ts';
import { answerFormOf, grammarOf } from './answer-form.ts';
import type { AnswerPiece } from './answer-reader.ts';
import { AnswerReader, joined } from './answer-reader.ts';

const THOUGHTS = { open: '[THINK]', close: '[/THINK]' };
const SPECIALS = ['[TOOL_CALLS]', '[ARGS]', THOUGHTS.open, THOUGHTS.close];
/** The tiny tokenizer with Mistral's marks, which are special tokens: they have no text of their own. */
const tokenizer = (() => {
  const json = tinyTokenizerJson() as { added_tokens: object[] };
  const added = SPECIALS.map((content, i) => ({ id: 280 + i, content, special: true, normalized: false }));
  json.added_tokens.push(...added);
  return (name = '{{ messages[0].content }}') =>
    loadTiny({ tokenizer: { ...json }, tokenizerConfig: { ...TINY_TOKENIZER_CONFIG, chat_template: name } });
})();

const form: AnswerForm = {
  marks: { calls: 'mistral-args', thoughts: THOUGHTS },
  isThinking: false,
  isTextOrCalls: false,
  requestId: 'req_1',
};
const TEXT =
  '[THINK]Über the ünd[/THINK] and then é.\n[TOOL_CALLS]the[ARGS]{"a": "é the", "b": [1]}[TOOL_CALLS]in[ARGS]{}';

describe('an answer', () => {
  it('after any of its tokens is what these alone make of it, and the rest joins to the whole', () => {
    const made = tokenizer();
    const ids = made.encode(TEXT);
    const stops = fc.constantFrom([], ['"b"'], ['then é', 'zz'], ['\n']);
    fc.assert(
      fc.property(fc.array(fc.nat(ids.length)), stops, (cuts, stop) => {
        const readerOf = (): AnswerReader => new AnswerReader({ tokenizer: made, stop, form, choice: 1 });
        const reader = readerOf();
        let told: AnswerPiece = { text: '' };
        let start = 0;
        for (const end of [...cuts.toSorted((a, b) => a - b), ids.length]) {
          told = merged(joined(told, reader.push(ids.slice(start, end))));
          start = end;
          expect(told).toEqual(merged(joined(readerOf().push(ids.slice(0, end)), { text: '' })));
        }
        const whole = readerOf();
        const pushed = whole.push(ids);
        expect(merged(joined(told, reader.flush()))).toEqual(merged(joined(pushed, whole.flush())));
      }),
      { numRuns: 300 },
    );
  });

  it('takes no mark that other tokens spell for the special token, nor tells one that marks nothing', () => {
    const made = tokenizer();
    const [call, , think] = SPECIALS.map((name) => made.encode(name));
    const spelled = [...made.encode('[TOOL_'), ...made.encode('CALLS]')];
    const read = (ids: number[]): AnswerPiece => {
      const reader = new AnswerReader({ tokenizer: made, stop: [], form, choice: 0 });
      return joined(reader.push(ids), reader.flush());
    };
    expect(read([...spelled, ...made.encode('the[ARGS]{}')])).toEqual({ text: '[TOOL_CALLS]the{}' });
    expect(read([...made.encode('a '), ...think!, ...made.encode('b')])).toEqual({ text: 'a b' });
    expect(read([...call!, ...made.encode('the[ARGS]{"a": 1}')]).tool_calls?.[0]).toMatchObject({
      name: 'the',
    });
  });

  it('has thoughts, text and calls, whose ids are of request, choice and place', () => {
    const made = tokenizer();
    const readOf = (requestId: string, choice: number): AnswerPiece => {
      const reader = new AnswerReader({ tokenizer: made, stop: [], form: { ...form, requestId }, choice });
      const pushed = reader.push(made.encode(TEXT));
      expect(reader.endsInCalls).toBe(true);
      return merged(joined(pushed, reader.flush()));
    };
    const { text, reasoning, tool_calls: calls = [] } = readOf('req_1', 0);
    expect({ text, reasoning }).toEqual({ text: 'and then é.', reasoning: 'Über the ünd' });
    expect(calls.map(({ name, arguments: written }) => [name, written])).toEqual([
      ['the', '{"a": "é the", "b": [1]}'],
      ['in', '{}'],
    ]);
    expect(readOf('req_1', 0)).toEqual(readOf('req_1', 0));
    const ids = [readOf('req_1', 0), readOf('req_1', 1), readOf('req_2', 0)].flatMap(
      (each) => each.tool_calls?.map(({ id }) => id) ?? [],
    );
    expect(new Set(ids).size).toBe(6);
    expect(ids.every((id) => /^call_[0-9a-f]{24}$/.test(id ?? ''))).toBe(true);
  });
});

/** Pieces of one call as one. */
function merged({ tool_calls: pieces = [], ...rest }: AnswerPiece): AnswerPiece {
  const calls: NonNullable<AnswerPiece['tool_calls']> = [];
  for (const piece of pieces) {
    const before = calls[piece.index];
    calls[piece.index] =
      before === undefined ? piece : { ...before, arguments: before.arguments + piece.arguments };
  }
  return { ...rest, ...(calls.length === 0 ? {} : { tool_calls: calls }) };
}

describe('the form of an answer', () => {
  const thinking = (): Tokenizer => tokenizer('{{ messages[0].content }}[THINK][/THINK]');
  const tools = [{ name: 'a', strict: false }];
  const messages = [{ role: 'user' as const, content: 'x' }];
  const asked = { request_id: 'r', input: { type: 'chat' as const, messages } };

  it.each([
    ['a', 'anywhere', false],
    ['a[THINK]', 'in a thought', true],
    ['a[THINK]\n', 'in a thought', true],
    ['a[THINK]\n[/THINK]\n', 'after a thought', false],
  ])('is read from the end of its prompt: %j', (prompt, beginning, isThinking) => {
    const made = thinking();
    const found = answerFormOf(asked, made.encode(prompt), made);
    expect(found?.isThinking ?? false).toBe(isThinking);
    expect(found === undefined).toBe(beginning === 'after a thought');
  });

  it('has calls only where the model may call, and is none of texts and of models that have neither', () => {
    const called = tokenizer('[TOOL_CALLS][ARGS]');
    const calls = (input: object) =>
      answerFormOf({ ...asked, input: { ...asked.input, ...input } }, [], called)?.marks.calls;
    expect(calls({ tools })).toBe('mistral-args');
    expect(calls({ tools, tool_choice: 'none' })).toBeUndefined();
    expect(calls({})).toBeUndefined();
    expect(answerFormOf({ request_id: 'r', input: { type: 'text', text: 'x' } }, [], called)).toBeUndefined();
    expect(answerFormOf(asked, [], loadTiny())).toBeUndefined();
  });

  it('lets a text of a form of its own come after a thought, as the prompt begins or ends it', () => {
    const made = thinking();
    const grammar = { type: 'json_object' as const };
    const specAfter = (prompt: string) =>
      grammarOf({ ...asked, grammar }, answerFormOf(asked, made.encode(prompt), made), made);
    const thought = { type: 'after_thought', text: grammar, specialMarks: [THOUGHTS.open, THOUGHTS.close] };
    expect(specAfter('a')).toMatchObject({ ...thought, isThinking: false });
    expect(specAfter('a[THINK]')).toMatchObject({ ...thought, isThinking: true });
    expect(specAfter('a[THINK][/THINK]')).toEqual(grammar);
  });

  it('is refused beside another in which a call could not be told from a text', () => {
    const made = tokenizer('{"name": x, "parameters": y} {{ tools }}');
    const grammar = { type: 'json_object' as const };
    const refused = (input: object) => {
      const request = { ...asked, input: { ...asked.input, tools, ...input }, grammar };
      return () => grammarOf(request, answerFormOf(request, [], made), made);
    };
    expect(refusal(refused({})).param).toBe('grammar');
    expect(refused({ tool_choice: 'required' })()).toMatchObject({ type: 'tool_calls', mode: 'required' });
    expect(refused({ tool_choice: 'none' })()).toEqual(grammar);
  });
});
